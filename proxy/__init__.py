"""The data plane: server -> exchange -> decide -> inject -> upstream -> relay -> scrub -> audit."""
