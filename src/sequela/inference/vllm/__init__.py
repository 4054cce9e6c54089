"""What `VllmEngine` is made of: the server, the adapters it is given, the worker that changes weights."""
