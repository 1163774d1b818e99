# For the CPU:        docker build -t gantune .
# For NVIDIA's GPUs:  docker build -t gantune:gpu --build-arg TORCH=https://download.pytorch.org/whl/cu128 .
#
# Run it:             docker run --rm -v "$PWD:/project" gantune search dcgan
# With a GPU:         docker run --rm --gpus all --ipc=host -v "$PWD:/project" gantune:gpu search dcgan
FROM python:3.11-slim

# The index of PyTorch's builds; CUDA's libraries come with them.
ARG TORCH=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir torch --index-url "${TORCH}"

COPY pyproject.toml setup.py README.md LICENSE /source/
COPY gantune /source/gantune
COPY search_spaces /source/search_spaces
RUN pip install --no-cache-dir '/source[postgres,tensorboard,safetensors]'

# Runs and caches are in the folder that is mounted.
WORKDIR /project
ENV HOME=/project XDG_CACHE_HOME=/project/.cache
ENTRYPOINT ["gantune"]
