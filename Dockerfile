# The server and the command line. Two stages: what only builds and tests stays behind in the first.
FROM python:3.11.11-slim-bookworm AS build

ENV VIRTUAL_ENV=/opt/jina PATH=/opt/jina/bin:$PATH
RUN python -m venv "$VIRTUAL_ENV"
# strip takes 90 MB of names from torch that only a debugger reads.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils || \
  echo "Debian's packages cannot be reached, and the image stays 90 MB larger" >&2

# Which torch: cpu; a CUDA release, such as cu130, for GPUs, several GB; or empty: whichever pip finds.
ARG TORCH=cpu
# Other package indexes than PyPI, for pip.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN if [ -n "$TORCH" ]; then pip install --no-cache-dir uv && \
  uv pip install --no-cache --compile-bytecode --torch-backend "$TORCH" -c constraints.txt torch && pip uninstall --yes uv || { \
  echo "TORCH=$TORCH takes torch from https://download.pytorch.org/whl/$TORCH and the rest from https://pypi.org: the build must reach both." \
  "With --build-arg TORCH= pip takes all from its index, which --build-arg PIP_INDEX_URL=URL may name." >&2; exit 1; }; fi

# All that is needed, before our own code, so that a change of it brings none of this again. What is taken away: tests,
# headers, stubs, names for debuggers, tools of torch but one that it asks for when it is loaded, and networkx, which
# only its compiler needs.
RUN mkdir -p encoder/jina_v3_encoder/nano jina_v3_connectors haystack_integrations && touch encoder/jina_v3_encoder/nano/LICENSE && \
  pip install --no-cache-dir -c constraints.txt '.[server,remote,qdrant,milvus-client,postgres]' && \
  cd "$VIRTUAL_ENV"/lib/python3*/site-packages && rm -rf torch/include torch/test networkx networkx-*.dist-info && \
  if command -v strip >/dev/null; then strip --strip-unneeded torch/lib/*.so; fi && \
  find torch/bin -type f ! -name torch_shm_manager -delete && find . -name '*.pyi' -delete && \
  find . -type d -name tests -prune -exec rm -rf {} +

COPY encoder encoder
COPY jina_v3_connectors jina_v3_connectors
COPY haystack_integrations haystack_integrations
RUN pip install --no-cache-dir --no-deps --force-reinstall . && pip uninstall --yes pip setuptools

FROM python:3.11.11-slim-bookworm

COPY --from=build /opt/jina /opt/jina
# Any user may write into the two folders, so that --user may be anyone.
RUN useradd --no-create-home --uid 10001 jina && install -d -m 1777 /state /models
ENV PATH=/opt/jina/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp HF_HOME=/models JINA_V3_STATE=/state
USER 10001:10001
WORKDIR /state

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m \
  CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8080/ready', timeout=3)"]
ENTRYPOINT ["jina-v3"]
CMD ["serve", "--host", "0.0.0.0"]
