"""The composition root above proxy and controller: `connectors serve | get | validate | demo`."""
