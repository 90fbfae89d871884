# One image for the page, the Prefect server, the Prefect worker and MLflow. compose.yaml contains their commands.
# `docker build .` installs PyTorch for the CPU. For a GPU: `docker build --build-arg TORCH_BACKEND=cu130 .`
FROM python:3.11-slim-bookworm

ARG TORCH_BACKEND=cpu
ARG UID=1000
ARG GID=1000

# git and openssh-client: DVC, and deployments that clone their code. libgomp1: LightGBM.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid "$GID" kadr \
    && useradd --uid "$UID" --gid "$GID" --create-home kadr

WORKDIR /kadr

# The packages change less often than the code, so they are a layer of their own.
COPY pyproject.toml requirements.lock ./
RUN pip install --no-cache-dir "$(grep '^uv==' requirements.lock)" \
    && uv pip install --system --no-cache --compile-bytecode --torch-backend "$TORCH_BACKEND" \
        --constraint requirements.lock --requirement pyproject.toml \
        --extra pipeline --extra postgres --extra words

COPY --chown=$UID:$GID . .
RUN uv pip install --system --no-cache --no-deps --editable . \
    && chown "$UID:$GID" . \
    && git config --system --add safe.directory /kadr

USER $UID
# The image has no git history, so DVC must not look for it.
RUN dvc config --local core.no_scm true

ENV PYTHONUNBUFFERED=1
CMD ["kadr", "--help"]
