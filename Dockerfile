# The daemon's image: the locked dependencies and the package, run as a numeric user that owns nothing.
# `--target sandbox` is the same with the sandbox, which the daemon does without.

FROM python:3.11-slim-bookworm AS build
# requirements-otel.txt for an image that can send spans (tracing.otlp_endpoint).
ARG REQUIREMENTS=requirements.txt
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# One environment for the tools that build, one without pip for what is shipped.
COPY requirements.txt requirements-otel.txt requirements-build.txt ./
RUN python -m venv /opt/tools \
 && python -m venv --without-pip /opt/bridge \
 && /opt/tools/bin/pip install --no-deps --require-hashes -r requirements-build.txt \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --require-hashes --only-binary :all: \
      -r "$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --no-index /wheels/*.whl \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python check

# The venue alone: without what would start a broker, a Java among it, for that is a container of its own.
FROM build AS build-sandbox
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels/sandbox ./bridge/sandbox \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --no-index /wheels/sandbox/*.whl

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
EXPOSE 9090
ENTRYPOINT ["ltp-bridge"]

FROM runtime AS sandbox
COPY --from=build-sandbox /opt/bridge /opt/bridge
CMD ["sandbox"]

# The last one is what is built where no target is named.
FROM runtime AS daemon
COPY --from=build /opt/bridge /opt/bridge
CMD ["run"]
