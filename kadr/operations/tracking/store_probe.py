"""Check that a tracking store responds, before MLflow retries for minutes to reach it."""

TIMEOUT_S = 3
_DATABASES_WITH_TIMEOUT = {"postgresql", "mysql"}


def probe_store(store: str) -> None:
    """Connect once to a tracking server or to a database server. An SQLite file needs no connection.

    Args:
        store: address of the store.

    Raises:
        MlflowException: the tracking server does not respond within TIMEOUT_S, or the database driver is missing.
        SQLAlchemyError: the database server does not respond within TIMEOUT_S, or rejects the connection.
    """
    if store.startswith(("http://", "https://")):
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        credentials = get_default_host_creds(store)  # type: ignore[no-untyped-call]
        http_request(  # type: ignore[no-untyped-call]
            credentials, "/health", "GET", max_retries=0, timeout=TIMEOUT_S, raise_on_status=False
        )
    elif "://" in store and not store.startswith("sqlite"):
        from mlflow.exceptions import MlflowException
        from sqlalchemy import NullPool, create_engine, make_url

        has_timeout = make_url(store).get_backend_name() in _DATABASES_WITH_TIMEOUT
        driver_settings = {"connect_timeout": TIMEOUT_S} if has_timeout else {}
        try:
            create_engine(store, poolclass=NullPool, connect_args=driver_settings).connect().close()
        except ModuleNotFoundError as error:
            raise MlflowException(str(error)) from error
