# Stage 1 compiles; stage 2 holds what runs: no compiler, no dev dependencies, no root.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim AS runtime
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY config config
COPY models models
USER node
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=2s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# node itself is process 1 and gets SIGTERM: the server drains, for up to server.drain_ms (30 s). Docker kills after 10 s
# unless it is told otherwise: docker run --stop-timeout 40.
CMD ["node", "dist/cli.js", "serve", "--host", "0.0.0.0"]

# docker build --target webgpu: models with `device: webgpu` on a GPU, through Vulkan's loader. What is not in the image is the driver:
# NVIDIA's container toolkit brings it (docker run --gpus all), for others mount /dev/dri and install their Mesa. Never run on a card.
FROM runtime AS webgpu
USER root
RUN apt-get update && apt-get install -y --no-install-recommends libvulkan1 && rm -rf /var/lib/apt/lists/*
ENV NVIDIA_DRIVER_CAPABILITIES=compute,graphics,utility
USER node

# There is no target for `device: cuda`, which is refused (docs/devices.md). It would need: an image with CUDA 12 and cuDNN 9
# (nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04), Node 20 in it, `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node
# --ignore-scripts=false` with a network that reaches where the package's script downloads from, and graphs with KV of halves.
FROM runtime
