# syntax=docker/dockerfile:1
#
#   docker build -t holdfast .                                 Holdfast alone
#   docker build -t decypharr-holdfast --target decypharr .    Decypharr and Holdfast in one container
#
# The gateway must see the FUSE mount: run it in the container that makes the mount, or hand it the host's mount with
# propagation (docker run -v /mnt:/mnt:rslave …; Kubernetes: mountPropagation: HostToContainer).
# A stop takes up to 30 s, since what clients asked for is finished first: docker run --stop-timeout 35 …

ARG NODE_IMAGE=node:22-bookworm-slim
# Pin it to the version that you run.
ARG DECYPHARR_IMAGE=cy01/blackhole:latest

FROM ${NODE_IMAGE} AS build
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

# What the program consists of, and nothing else: JavaScript that runs on any Node 20 or newer, glibc or musl.
FROM ${NODE_IMAGE} AS program
WORKDIR /app
COPY package.json package-lock.json LICENSE ./
COPY protocols/nfs-rpc/package.json protocols/nfs-rpc/
COPY protocols/smb2/package.json protocols/smb2/
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund
COPY --from=build /app/protocols/nfs-rpc/dist protocols/nfs-rpc/dist
COPY --from=build /app/protocols/smb2/dist protocols/smb2/dist
COPY --from=build /app/dist dist
RUN node dist/main.js --version

# Decypharr's image is Alpine, its /app the volume of its configuration. Its entrypoint chooses the user and goes on as CMD.
FROM ${DECYPHARR_IMAGE} AS decypharr
# The user that mounts there is chosen when the container starts.
RUN apk add --no-cache nodejs tini && mkdir -p /mnt/dfs && chmod 0777 /mnt/dfs
COPY --from=program /app /opt/holdfast
EXPOSE 445 2049 9445
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD ["node", "-e", "fetch('http://' + (process.env.HOLDFAST_ADMIN_LISTEN || '127.0.0.1:9445') + '/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/sbin/tini", "--", "node", "/opt/holdfast/dist/main.js"]
CMD ["run", "/mnt/dfs", "--", "/entrypoint.sh", "/usr/bin/decypharr", "--config", "/app"]

FROM ${NODE_IMAGE} AS holdfast
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Holdfast" \
  org.opencontainers.image.description="Re-exports a FUSE tree over SMB2/3 and NFSv3 so that the mounts on other nodes never go stale" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.licenses="MIT"
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /mnt/dfs
ENV NODE_ENV=production
WORKDIR /app
COPY --from=program /app ./
# SMB, NFS (with MOUNT), metrics and health.
EXPOSE 445 2049 9445
# Whether the program answers, not whether the tree is there: a gateway whose source is away is at work. An admin address
# that only a configuration file or a flag names is not known here.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD ["node", "-e", "fetch('http://' + (process.env.HOLDFAST_ADMIN_LISTEN || '127.0.0.1:9445') + '/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "node", "/app/dist/main.js"]
CMD ["serve", "/mnt/dfs"]
