"""What all HTTP endpoints share: headers, bodies, errors, connections, pages."""
