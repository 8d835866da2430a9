# The daemon's image: the locked dependencies and the package, run as a numeric user that owns nothing.
# `--target sandbox` is the same with the sandbox, which the daemon does without.

# The index of all platforms, Python 3.11.16. To take a newer one, write here the digest that this command prints:
#   docker buildx imagetools inspect python:3.11-slim-bookworm
ARG BASE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
# requirements-otel.txt for an image that can send spans (tracing.otlp_endpoint).
ARG REQUIREMENTS=requirements.txt
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# One environment for the tools that build, one without pip for what is shipped.
COPY requirements.txt requirements-otel.txt requirements-build.txt ./
RUN python -m venv /opt/tools \
 && python -m venv --without-pip /opt/bridge \
 && /opt/tools/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements-build.txt \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --require-hashes --only-binary :all: \
      -r "$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
# The list of components is made of what is installed. No activation scripts: nobody has a shell in there.
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --no-index --find-links /wheels \
      ltp-kafka-bridge \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python check \
 && /opt/tools/bin/cyclonedx-py environment --output-reproducible --validate --spec-version 1.6 \
      --output-file /opt/bridge/sbom.cdx.json /opt/bridge/bin/python \
 && rm /opt/bridge/bin/activate* /opt/bridge/bin/Activate.ps1

# The venue alone: without what would start a broker, a Java among it, for that is a container of its own.
FROM build AS build-sandbox
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels ./bridge/sandbox \
 && /opt/tools/bin/pip --python /opt/bridge/bin/python install --no-deps --no-index --find-links /wheels \
      ltp-kafka-bridge-sandbox \
 && /opt/tools/bin/cyclonedx-py environment --output-reproducible --validate --spec-version 1.6 \
      --output-file /opt/bridge/sbom.cdx.json /opt/bridge/bin/python

FROM ${BASE} AS runtime
# What installs packages, and the parts of Python for desktops: no process in this image may need them.
RUN rm -rf /usr/local/bin/pip* /usr/local/bin/wheel /usr/local/bin/idle* /usr/local/bin/2to3* \
      /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip \
      /usr/local/lib/python3.11/idlelib /usr/local/lib/python3.11/lib2to3 \
      /usr/local/lib/python3.11/tkinter /usr/local/lib/python3.11/turtledemo
ENV PATH=/opt/bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
EXPOSE 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["ltp-bridge"]

FROM runtime AS sandbox
COPY --from=build-sandbox /opt/bridge /opt/bridge
CMD ["sandbox"]
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="ltp-kafka-bridge-sandbox" \
      org.opencontainers.image.description="The simulated venue of ltp-kafka-bridge, and the bridge itself" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"

# The last one is what is built where no target is named.
FROM runtime AS daemon
COPY --from=build /opt/bridge /opt/bridge
CMD ["run"]
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="ltp-kafka-bridge" \
      org.opencontainers.image.description="Bridge between LiquidityTech's RapidX private WebSocket and Apache Kafka" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
