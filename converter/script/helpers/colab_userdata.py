class _metaml_userdata:
    """google.colab.userdata: secrets are variables of the environment."""

    @staticmethod
    def get(name):
        import os

        if name not in os.environ:
            raise KeyError(f"set {name} in the environment; in Colab it is one of the secrets")
        return os.environ[name]
