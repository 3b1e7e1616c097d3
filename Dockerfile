# syntax=docker/dockerfile:1
#
#   docker build -t holdfast --target holdfast .                         Holdfast: serve, mount, and the other commands
#   docker build -t decypharr-holdfast --target decypharr-holdfast .     Decypharr and Holdfast in one container
#   docker buildx build --platform linux/amd64,linux/arm64 …             for both; nothing of the target's runs while building
#
# The gateway must see the FUSE mount: run it in the container that makes the mount, or hand it the host's mount with
# propagation (docker run -v /mnt:/mnt:rslave …; Kubernetes: mountPropagation: HostToContainer).
# A stop takes up to 30 s, since what clients asked for is finished first: docker run --stop-timeout 35 …

# Why this one: deploy/README.md. Any Node from 20 on will do.
ARG NODE_IMAGE=node:22-alpine
ARG BASE_IMAGE=alpine:3.22
# Pin it to the version that you run.
ARG DECYPHARR_IMAGE=cy01/blackhole:latest

# On the machine that builds: what comes out is JavaScript, the same for every processor.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY protocols/nfs-rpc/package.json protocols/nfs-rpc/
COPY protocols/smb2/package.json protocols/smb2/
# fuse-native, the one optional dependency, makes the trees of the demo and the tests. Nothing else needs an install script.
RUN npm ci --omit=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY protocols protocols
COPY src src
COPY deploy/launcher.mjs deploy/
RUN npm run build

# What the program consists of, and nothing else: no documents, no types, no sources of packages.
FROM build AS program
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && rm -rf protocols/*/src protocols/*/test src tsconfig.json deploy \
  && find node_modules protocols dist -type f \
    \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.map' -o -name '*.md' -o -name '*.tsbuildinfo' \) | xargs rm \
  && rm -rf node_modules/zod/src node_modules/pino/test node_modules/pino/docs node_modules/pino-pretty/test \
  && node dist/main.js --version \
  && mkdir -p /skeleton/mnt/dfs \
  && chmod 0777 /skeleton/mnt/dfs

# The target's own Node: a program and two libraries, whose directory entries may be links.
FROM ${NODE_IMAGE} AS node

# Decypharr's image is Alpine too; its /app is the volume of its configuration. Its entrypoint chooses the user and goes on as CMD.
FROM ${DECYPHARR_IMAGE} AS decypharr-holdfast
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/lib/libstdc++.so.6 /usr/lib/libgcc_s.so.1 /usr/lib/
# The user that mounts there is chosen when the container starts.
COPY --from=program /skeleton /
COPY --from=program /app /opt/holdfast
ENV NODE_ENV=production
EXPOSE 445 2049 9445
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD wget -q -O /dev/null "http://${HOLDFAST_ADMIN_LISTEN:-127.0.0.1:9445}/livez"
STOPSIGNAL SIGTERM
# As the first process it puts a shell in its place that collects orphans.
ENTRYPOINT ["node", "/opt/holdfast/dist/main.js"]
CMD ["run", "/mnt/dfs", "--", "/entrypoint.sh", "/usr/bin/decypharr", "--config", "/app"]

FROM ${BASE_IMAGE} AS holdfast
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Holdfast" \
  org.opencontainers.image.description="Re-exports a FUSE tree over SMB2/3 and NFSv3 so that the mounts on other nodes never go stale" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.licenses="MIT"
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/lib/libstdc++.so.6 /usr/lib/libgcc_s.so.1 /usr/lib/
COPY --from=program /skeleton /
COPY --from=program /app /opt/holdfast
ENV NODE_ENV=production
# SMB, NFS (with MOUNT), metrics and health.
EXPOSE 445 2049 9445
# Whether the program answers, not whether the tree is there: a gateway whose source is away is at work. An admin address
# that only a configuration file or a flag names is not known here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD wget -q -O /dev/null "http://${HOLDFAST_ADMIN_LISTEN:-127.0.0.1:9445}/livez"
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/opt/holdfast/dist/main.js"]
CMD ["serve", "/mnt/dfs"]
