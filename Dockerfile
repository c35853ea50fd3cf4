# The image of copse: one static binary, the public certificate authorities, and a
# directory for the data. It has no shell and no packages, and doesn't run as root.
#
#	docker build -t copse .
#	docker buildx build --platform linux/amd64,linux/arm64 -t copse .
#
# These arguments fill in the labels and `copse version`:
#
#	--build-arg VERSION=$(sed -n 's/^const Version = "\(.*\)"/\1/p' config/build/build.go)
#	--build-arg REVISION=$(git rev-parse HEAD) --build-arg CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)
#
# docs/OPERATING.md explains how to run it.

# Go cross-compiles, so the compiler runs on the building machine's own platform, which
# BuildKit sets; the older builder knows one platform only. BUILDER may name a mirror of
# the builder image.
ARG BUILDER=golang:1.26
FROM --platform=${BUILDPLATFORM:-linux/amd64} ${BUILDER} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Nothing here speaks HTTP/2: without it the binary is half a megabyte smaller.
ARG TARGETARCH
ARG REVISION
RUN CGO_ENABLED=0 GOOS=linux GOARCH=${TARGETARCH} \
      go build -trimpath -tags nethttpomithttp2 -ldflags="-s -w -X copse/config/build.stamp=${REVISION}" -o /image/copse . \
 && mkdir -p /image/data

FROM scratch
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="copse" \
      org.opencontainers.image.description="The etcd v2 HTTP API, served from many small raft groups" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="scratch"
# For members with certificates of a public authority.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/copse /copse
# A new volume gets its owner from this directory.
COPY --from=build --chown=65532:65532 /image/data /var/lib/copse
# A number, so that Kubernetes can tell that it isn't root.
USER 65532:65532
# Defaults for a container; flags, COPSE_ and ETCD_ variables and a file all take
# precedence. The advertised URLs contain the host name of the container.
ENV COPSE_DEFAULT_DATA_DIR=/var/lib/copse \
    COPSE_DEFAULT_LISTEN_CLIENT_URLS=http://0.0.0.0:2379 \
    COPSE_DEFAULT_LISTEN_PEER_URLS=http://0.0.0.0:2380 \
    COPSE_DEFAULT_LISTEN_METRICS_URLS=http://0.0.0.0:2381
VOLUME /var/lib/copse
# Clients, other members, operations.
EXPOSE 2379 2380 2381
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/copse", "health", "--quiet"]
ENTRYPOINT ["/copse"]
