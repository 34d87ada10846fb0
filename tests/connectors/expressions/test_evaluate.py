from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import thread_time

import pytest

from connectors.expressions.evaluate import evaluate
from connectors.expressions.parser import parse
from connectors.expressions.template import MAX_OUTPUT, TemplateError
from connectors.expressions.values import from_data
from tests.peers.kubectl import Kubectl

DATA = {
    "apiVersion": "example.com/v1",
    "kind": "Thing",
    "metadata": {"name": "x"},
    "s": "text",
    "e": "",
    "u": "häß ",
    "q": 'a"b\\c\n\t\x01é',
    "n": 3,
    "f": 1.5,
    "z": 0,
    "t": True,
    "nul": None,
    "l": ["a", "b", "c"],
    "el": [],
    "m": {"b": "2", "a": "1", "c-d": "3"},
    "em": {},
    "d": {"e": {"f": "deep"}},
    "items2": [{"name": "r", "value": "v1"}, {"name": "s", "value": "v2"}],
    "ll": [["x"], ["y", "z"]],
    "big": 1e21,
    "small": 0.00001,
    "neg": -2.5,
}


def rendered(source: str, data: object = DATA) -> str:
    """Ours, over plain data."""
    return evaluate(parse(source), from_data(data)).decode()


def gos(kubectl: Kubectl, folder: Path, source: str) -> str | None:
    """Go's, by a command of kubectl that asks no server; None where Go refuses."""
    manifest = folder / "data.json"
    if not manifest.exists():
        manifest.write_text(json.dumps(DATA), encoding="utf-8")
    words = ["patch", "--local", "-f", str(manifest), "--type", "merge", "-p", "{}", "-o", f"go-template={source}"]
    done = kubectl.run(*words, check=False)
    return None if done.returncode else done.stdout


AGREED = [
    "plain",
    'a {{- " b " -}} c',
    'a {{ "b" }} c',
    "{{ .s }}",
    "{{- /* c */ -}} x {{/* y */}}z",
    "x {{- /* c */ -}} x {{/* y\n */}}z",
    "{{ .l }} {{ .m }} {{ .n }} {{ .f }} {{ .t }} {{ .big }} {{ .small }} {{ .neg }} {{ .z }}",
    "{{ 1 }} {{ -3 }} {{ 1.5 }} {{ 0x1f }} {{ 1e3 }} {{ 1e30 }} {{ .5 }} {{ 100000000000000000000.0 }}",
    "{{ 1e-7 }} {{ +2 }}",
    "{{ 999999.0 }} {{ 1000000.0 }} {{ 123456.75 }} {{ 1.0e5 }} {{ 0.0 }} {{ 100.0 }}",
    "{{ true }}{{ false }}",
    '{{ "a\\n\\t\\"\\\\\\x41\\101\\u00e9\\U0001F600" }}',
    '{{ `raw\\n"x"` }}',
    "{{ $x := .s }}{{ $x }}",
    '{{ $x := "a" }}{{ if true }}{{ $x := "b" }}{{ $x }}{{ end }}{{ $x }}',
    '{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ $x }}{{ end }}{{ $x }}',
    '{{ $x := "a" }}{{ range .l }}{{ $x = printf "%s%s" $x . }}{{ end }}{{ $x }}',
    "{{ if .s }}y{{ else }}n{{ end }}",
    "{{ if .e }}y{{ else }}n{{ end }}",
    "{{ if .nope }}y{{ else }}n{{ end }}",
    "{{ if .z }}y{{ else }}n{{ end }}",
    "{{ if .nul }}y{{ else }}n{{ end }}",
    "{{ if .el }}y{{ else }}n{{ end }}",
    "{{ if .em }}y{{ else }}n{{ end }}",
    "{{ if .nope }}a{{ else if .e }}b{{ else if .s }}c{{ else }}d{{ end }}",
    "{{ if .nope }}a{{ else if .e }}b{{ else }}d{{ end }}",
    "{{ if .nope.deeper.still }}a{{ else }}b{{ end }}",
    "{{ if $x := .s }}{{ $x }}{{ else }}no{{ end }}{{ if $x := .e }}{{ $x }}{{ else }}<{{ $x }}>{{ end }}",
    "{{ range .l }}[{{ . }}]{{ end }}",
    "{{ range $i, $e := .l }}{{ $i }}={{ $e }},{{ end }}",
    "{{ range $e := .l }}{{ $e }}{{ . }}{{ end }}",
    "{{ range $k, $v := .m }}{{ $k }}:{{ $v }};{{ end }}",
    "{{ range .el }}x{{ else }}empty {{ .s }}{{ end }}",
    "{{ range .nope }}x{{ else }}empty{{ end }}{{ range .nul }}x{{ else }}empty{{ end }}",
    "{{ range $i, $e := .el }}x{{ else }}{{ $e }}{{ $i }}{{ end }}",
    "{{ range .l }}{{ $.s }}{{ end }}",
    "{{ range .ll }}{{ range . }}{{ . }}{{ end }}|{{ end }}",
    '{{ $i := 0 }}{{ $e := "" }}{{ range $i, $e = .l }}{{ end }}{{ $i }}{{ $e }}',
    '{{ range .items2 }}{{ if eq .name "s" }}{{ .value }}{{ end }}{{ end }}',
    "{{ with .d }}{{ .e.f }}{{ $.s }}{{ end }}",
    "{{ with .nope }}a{{ else }}b{{ .s }}{{ end }}",
    "{{ with $x := .d }}{{ $x.e.f }}{{ end }}",
    "{{ with .nope }}a{{ else with .d }}{{ .e.f }}{{ end }}",
    '{{ printf "%s|%q|%v|%t|%%|%v|%v" .s .q .l .t .n .m }}',
    '{{ printf "%d-%d" 3 0x10 }}',
    '{{ printf "%s" .l }}{{ printf "%v" .f }}{{ printf "%v" .big}}',
    '{{ printf "plain" }}',
    '{{ print 1 2 "a" "b" 3 4 }}{{ print "a" 1 "b" }}{{ print }}{{ print .l .m true false }}',
    '{{ "a" | printf "%s-%s" "b" | printf "%s!" }}',
    "{{ gt .n -2 }}{{ eq .n 3 }}{{ lt .f 2.5 }}{{ index .l .z }}",
    '{{ eq .s "text" }}{{ eq .s "a" "text" }}{{ ne .s "x" }}{{ eq 1 1 }}{{ eq true .t }}{{ eq 1.5 .f }}',
    "{{ eq .nul nil }}{{ eq .s nil }}",
    '{{ lt 1 2 }}{{ le 2 2 }}{{ gt "b" "a" }}{{ ge 1.5 2.5 }}{{ lt "a" "b" }}',
    '{{ and 1 0 2 }}{{ and 1 2 }}{{ or 0 "" "x" }}{{ or 0 "" }}{{ not 0 }}{{ not .s }}',
    "{{ or .s (index .l 99) }}",
    '{{ "x" | and true }}{{ "x" | or "" }}',
    "{{ len .l }}{{ len .s }}{{ len .m }}{{ len .u }}{{ len .em }}",
    '{{ index .l 1 }}{{ index .m "c-d" }}{{ index .ll 1 0 }}{{ index .d "e" "f" }}',
    '{{ if index .m "nope" }}y{{ else }}n{{ end }}',
    '{{ urlquery "a b&c=d/é~-_.*+" }}{{ urlquery 1 2 }}',
    "{{ (index .items2 0).name }}{{ (.d).e.f }}{{ (((.s))) }}",
    '{{ printf "%s" (printf "%s-%s" (index .l 0) (index .l 1)) }}',
    '{{ if and (eq .s "text") (not .e) (or .nope .t) }}y{{ end }}',
    "{{ $x:=1 }}{{$x}}",
    "{{ -9223372036854775808 }}",
    "{{- 3 }} {{-3}} {{3 -}} x",
    "{{ if not (and .s .nope) }}ok{{ end }}",
    "{{ range $i, $e := .l }}{{ if $i }},{{ end }}{{ $e }}{{ end }}",
    "{{ $a := 1 }}{{ $b := 2 }}{{ $a = $b }}{{ $a }}",
    "{{ range .l }}{{ $x := . }}{{ with $.d }}{{ $x }}{{ end }}{{ end }}",
    '{{ printf\n "%s" \n .s }}',
    "{{ $.s }}{{ $.d.e.f }}",
    '{{ printf `%q` "é☃\\x00\\x7f\\xff\\u200b" }}',
    '{{ eq "a" "b" "c" | not }}',
    "{{ .f }}{{ 0.1 }}{{ 123456789.0 }}{{ 12345678901234567890.0 }}{{ 0.0001 }}{{ 0.00001234 }}{{ 1.5e300 }}{{ -0.0 }}",
    '{{ len "\\xff\\xfe" }}',
    '{{ le "a" "a" }}{{ lt "a" "é" }}',
    "{{if true}}{{range .l}}{{with .}}{{.}}{{end}}{{end}}{{end}}",
    '}} {{ "}}" }} { {',
    "{{ not nil }}",
    '{{ .metadata.name | printf "%s" | len | printf "%d" }}',
    "{{ $x := 1 }}{{ with $x = 2 }}{{ . }}{{ end }}{{ $x }}",
    "{{ print (1) (2)}}",
    "{{ index .l }}",
    "{{ with .l }}{{ index . 0 }}{{ end }}",
]
"""Templates that both render, to the same."""
REFUSED = [
    "{{ nil }}",
    '{{ "\\\'" }}',
    '{{ "\\q" }}',
    "{{ $x }}",
    "{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}",
    "{{ $x = 1 }}",
    "{{ $x := $x }}",
    "{{ range .s }}x{{ end }}",
    "{{ with .nope }}a{{ else if .d }}b{{ end }}",
    '{{ eq 1 "a" }}',
    "{{ eq 1 1.0 }}",
    "{{ eq .l .l }}",
    "{{ lt true false }}",
    "{{ lt .n 3.5 }}",
    '{{ lt 1 "a" }}',
    "{{ and .s (index .l 99) }}",
    "{{ and }}",
    "{{ not }}",
    "{{ len 3 }}",
    "{{ index .l 3 }}",
    "{{ index .l -1 }}",
    '{{ index .l "a" }}',
    "{{ index .m 1 }}",
    '{{ index .nope "a" }}',
    "{{ .s.x }}",
    "{{ .nul.x }}",
    "{{ .l.x }}",
    "{{ .nope | len }}",
    "{{ .s | .e }}",
    "{{ .s 1 }}",
    "{{ 1 | 2 }}",
    '{{ "x" "y" }}',
    "{{ nope 1 }}",
    "{{ if }}x{{ end }}",
    "{{ if .s }}x",
    "{{ end }}",
    "{{ else }}",
    "{{ if .s }}a{{ else }}b{{ else }}c{{ end }}",
    "{{ }}",
    "{{ .s",
    '{{ "abc }}',
    "{{ (.s }}",
    "{{ .s) }}",
    "{{ . s }}",
    "{{ .s.}}",
    "{{ .s..e}}",
    '{{printf("x")}}',
    '{{ "a""b" }}',
    '{{print "a"(print "b")}}',
    "{{ $x , $y := .l }}",
    "{{ range $i, $e, $f := .l }}{{ end }}",
    "{{ 09 }}",
    "{{ 9223372036854775808 }}",
    "{{ | .s }}",
    'a {{-""}} b',
    "{{ /* not a comment */ }}",
    "{{/* a */ }}",
    "{{/* a }}",
    "{{ true.x }}",
    "{{ $ }}x{{ $x.y }}",
    "{{ eq 1 }}",
    "{{ ne 1 2 3 }}",
    '{{{ "a" }}}',
    "{{ (nil) }}",
    "{{ if nil }}{{ end }}",
    "{{ 1.x }}",
    "{{ end.x }}",
    "{{ if .s }}{{ else.x }}{{ end }}",
    "{{ range $x := .l }}{{ else }}{{ end }}{{ $x }}",
    '{{ (print "a").b }}',
    "{{ index .l 1.0 }}",
    "{{ index .l .n }}",
]
"""Templates that both refuse, compiling or rendering."""
STRICTER = [
    ("{{ .nope }}", "lacks the key nope"),
    ("{{ .nul }}", "nil"),
    ("{{ print .nope.x.y }}", "lacks the key nope"),
    ('{{ printf "%d" "a" }}', "%d is for integers"),
    ('{{ printf "%s" 1 }}', "%s is for strings"),
    ('{{ printf "%t" 1 }}', "%t is for booleans"),
    ('{{ printf "%s" }}', "asks for 1 values, and gets 0"),
    ('{{ printf "x" 1 }}', "asks for 0 values"),
    ('{{ printf "%5s" .s }}', "not known"),
    ('{{ printf "%v" nil }}', "nil cannot"),
    ("{{ and nil }}", "nil cannot"),
    ("{{ eq (index .m `nope`) `` }}", "lacks the key nope"),
    ("{{ 'a' }}", "double quotes"),
    ("{{ index .s 0 }}", "cannot be indexed"),
    ("{{ .s | }}", "expected"),
    ("{{ $ := 1 }}", "variable"),
    ("{{ 1_000 }}", "number"),
    ("{{ define `x` }}{{ end }}", "define is not supported"),
    ("{{ template `x` }}", "template is not supported"),
    ("{{ block `x` . }}{{ end }}", "block is not supported"),
    ("{{ range .l }}{{ break }}{{ end }}", "break is not supported"),
    ("{{ range .l }}{{ continue }}{{ end }}", "continue is not supported"),
    ("{{ slice .l 1 }}", "slice is not known"),
    ("{{ html .s }}", "html is not known"),
    ("{{ js .s }}", "js is not known"),
    ("{{ call .s }}", "call is not known"),
    ("{{ println .s }}", "println is not known"),
]
"""What Go renders, mostly to `<no value>` or `%!d(string=a)`, and ours refuses."""


END = "<end of one>"


@pytest.mark.kubectl
def test_renders_as_go_does(offline_kubectl: Kubectl, tmp_path: Path) -> None:
    # One process renders all; one for each only where they differ, or where Go refuses one of them.
    together = gos(offline_kubectl, tmp_path, END.join(AGREED))
    if together != END.join(ours(source) or "" for source in AGREED):
        each = {source: (ours(source), gos(offline_kubectl, tmp_path, source)) for source in AGREED}
        wrong = {source: pair for source, pair in each.items() if pair[0] != pair[1]}
        raise AssertionError(wrong or "each alone is rendered as Go does, and all together are not")


@pytest.mark.kubectl
def test_refuses_what_go_refuses(offline_kubectl: Kubectl, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:  # a process for each, since Go stops at the first
        answers = pool.map(lambda source: gos(offline_kubectl, tmp_path, source), REFUSED)
    assert not [source for source, answer in zip(REFUSED, answers, strict=True) if answer is not None]
    assert not [source for source in REFUSED if ours(source) is not None]


def ours(source: str) -> str | None:
    """None where ours refuses."""
    try:
        return rendered(source)
    except TemplateError:
        return None


@pytest.mark.parametrize(("source", "said"), STRICTER)
def test_refuses_what_is_hardly_meant(source: str, said: str) -> None:
    with pytest.raises(TemplateError, match=r"^line 1, column ") as caught:
        rendered(source)
    assert said in str(caught.value)


MANY = [str(number) for number in range(4000)]
LONG = "aé\x01" * 1300
BOUNDED = [
    ("{{ range .l }}{{ range $.l }}x{{ end }}{{ end }}", "longer than"),
    ("{{ range .l }}{{ range $.l }}{{ end }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := eq . . }}{{ $x = eq . . }}{{ $x = eq . . }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := replace `a` `b` $.x }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := upper $.x }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := quote $.x }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := printf `%q` $.x }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := printf $.p }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := urlquery $.x }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := urlParse $.h }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := join `` $.b }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := print $.b }}{{ end }}", "more than"),
    ("{{ $y := list .b .b }}{{ range .l }}{{ $x := print $y }}{{ end }}", "more than"),
    ("{{ range .l }}{{ $x := print $.map }}{{ end }}", "more than"),
    ("{{ range .l }}{{ range $.map }}{{ end }}{{ end }}", "more than"),
    ("{{ $x := list }}{{ range .l }}{{ $x = append $x $x }}{{ end }}", "more than"),
    ("{{ $x := list 1 }}{{ range .l }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "nested too deep"),
    ("{{ $x := `a` }}{{ range .l }}{{ $x = printf `%s%s` $x $x }}{{ end }}", "longer than"),
    ("{{ $x := .x }}{{ range .l }}{{ $x = replace `a` $x $x }}{{ end }}", "longer than"),
    ("{{ .x" + " | b64enc" * 400 + " }}", "longer than"),
]


@pytest.mark.parametrize(("source", "said"), BOUNDED)
def test_whatever_a_class_writes_takes_little(source: str, said: str) -> None:
    blanks, numbers = [""] * 4000, {str(number): "" for number in range(2000)}
    data = {"l": MANY, "x": LONG, "p": "%%" * 5000, "h": "http://" + "a@" * 8000, "b": blanks, "map": numbers}
    began = thread_time()
    with pytest.raises(TemplateError, match=said):
        rendered(source, data)
    assert thread_time() - began < 1, "some 50 ms are meant; the rest is for a busy machine"


@pytest.mark.parametrize(("size", "fits"), [(MAX_OUTPUT, True), (MAX_OUTPUT + 1, False)])
def test_the_output_has_a_limit(size: int, *, fits: bool) -> None:
    if fits:
        assert rendered("{{ .x }}", {"x": "a" * size}) == "a" * size
        return
    with pytest.raises(TemplateError, match="line 1, column 4: the rendering is longer than 16384 bytes"):
        rendered("{{ .x }}", {"x": "a" * size})


def test_the_place_of_an_error_is_that_of_the_value() -> None:
    with pytest.raises(TemplateError, match=r"^line 3, column 11: len: "):
        rendered("{{ if .s }}\n\n é     {{ len 3 }}{{ end }}")


def test_a_key_that_is_computed_is_not_named() -> None:
    with pytest.raises(TemplateError, match="a key that the template computes") as caught:
        rendered("{{ index .m .s }}")
    assert "text" not in str(caught.value)
