class _metaml_colab:
    """What google.colab gives, as far as it has a meaning on another machine."""

    class drive:
        @staticmethod
        def mount(path, *args, **options):
            import os

            if not os.path.isdir(path):
                raise FileNotFoundError(f"{path} is not there: outside of Colab, link or mount the drive's files there")

        flush_and_unmount = staticmethod(lambda *args, **options: None)

    class files:
        @staticmethod
        def download(path):
            print("the file is", path)

        @staticmethod
        def upload(*args, **options):
            raise RuntimeError("files.upload() runs in Colab only: open the file by its path")

        view = download

    class userdata:
        @staticmethod
        def get(name):
            import os

            if name not in os.environ:
                raise KeyError(f"set {name} in the environment; in Colab it is one of the secrets")
            return os.environ[name]

    class auth:
        authenticate_user = staticmethod(lambda *args, **options: None)

    class output:
        clear = eval_js = enable_custom_widget_manager = disable_custom_widget_manager = staticmethod(
            lambda *args, **options: None
        )

    class data_table:
        enable_dataframe_formatter = disable_dataframe_formatter = staticmethod(lambda *args, **options: None)
        DataTable = staticmethod(lambda data, *args, **options: data)
