"""Peers for tests at the edges: real servers and raw sockets, none of them parsing with the code under test."""
