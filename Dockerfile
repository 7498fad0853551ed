# The image of certjobs; docs/image.md tells how it is built, run and checked. Any base that has Python 3.11 or later with
# its module venv as python3 will do.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CONFIG_FILE=/run/secrets/pip.conf

ARG VERSION
COPY certjobs/__init__.py certjobs/
RUN package=$(python3 -c 'import certjobs; print(certjobs.__version__)') \
    && [ "$VERSION" = "$package" ] \
    || { echo "Build with --build-arg VERSION=$package, as certjobs/__init__.py says; \`make image\` does." >&2; exit 1; }

# What builds stays in this stage. What runs gets no pip.
RUN python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/certjobs
ENV PATH=/opt/tools/bin:$PATH

# The package index is all that is asked of the network, and what comes from there is held to the hashes of the lock file.
ARG PIP_INDEX_URL
ARG EXTRAS="alerts azure metrics"
COPY pyproject.toml requirements.lock .ci/locked.py ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt --mount=type=cache,target=/root/.cache/pip \
    python locked.py --build >build.lock \
    && python locked.py $EXTRAS >run.lock \
    && pip install --quiet --no-deps --require-hashes --requirement build.lock \
    && pip --python /opt/certjobs/bin/python install --quiet --no-compile --no-deps --require-hashes --requirement run.lock

COPY README.md LICENSE ./
COPY docs/completion docs/completion
COPY docs/man/certjobs.1 docs/man/
COPY migrations migrations
COPY certjobs certjobs
RUN pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
    && pip --python /opt/certjobs/bin/python install --quiet --no-cache-dir --no-compile --no-deps --no-index /dist/*.whl

COPY .ci/slim.py ./
RUN /opt/certjobs/bin/python -P slim.py

FROM ${BASE}
# Bases are published without the byte code of the standard library, and a read-only root would keep none. Builders may
# change the times of files, so no time is compared; -B, for what an import writes has one.
RUN ["python3", "-B", "-c", "import compileall, py_compile, re, sysconfig; \
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH; \
    skip = re.compile('/(site-packages|dist-packages|test|tests|ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo)/'); \
    compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=1, rx=skip, invalidation_mode=mode) or exit(1)"]
COPY --from=build /opt/certjobs /opt/certjobs

ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="certjobs" \
      org.opencontainers.image.description="Nightly jobs that keep expired peer mentors off the public website and warn their coordinators in time" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A numeric user has no home of its own, and nothing is to be looked for in anybody else's.
ENV PATH=/opt/certjobs/bin:$PATH HOME=/nonexistent
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["certjobs"]
