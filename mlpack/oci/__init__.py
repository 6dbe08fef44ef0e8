"""Container images as values, and the places that hold them.

After the OCI image specification 1.1 (https://github.com/opencontainers/image-spec/tree/v1.1.1)
and distribution specification 1.1 (https://github.com/opencontainers/distribution-spec).
"""
