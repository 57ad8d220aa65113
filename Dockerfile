# The server and the command line, for CPUs and GPUs alike: which torch is installed decides.
FROM python:3.11.11-slim-bookworm

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY encoder encoder
COPY jina_v3_connectors jina_v3_connectors
COPY haystack_integrations haystack_integrations

# Index of PyTorch's CPU builds, as its install page names it; left empty, torch comes with CUDA, several GB.
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt '.[server,remote,qdrant,milvus,postgres]'

RUN useradd --create-home --uid 10001 jina && install -d -o jina -g jina /state /home/jina/.cache/huggingface
USER jina
ENV JINA_V3_STATE=/state

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m \
  CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8080/ready', timeout=3)"]
ENTRYPOINT ["jina-v3"]
CMD ["serve", "--host", "0.0.0.0"]
