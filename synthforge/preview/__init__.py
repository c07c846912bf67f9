"""The page on localhost: what its sliders say, drawn. `page` alone knows the server, viser."""
