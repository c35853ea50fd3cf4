# A static binary on an empty base.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /copse . && mkdir -p /empty/var/lib/copse

FROM scratch
COPY --from=build /copse /copse
COPY --from=build --chown=65532:65532 /empty/var/lib/copse /var/lib/copse
USER 65532:65532
ENV COPSE_DATA_DIR=/var/lib/copse \
    COPSE_LISTEN_CLIENT_URLS=http://0.0.0.0:2379
VOLUME /var/lib/copse
EXPOSE 2379 2380
STOPSIGNAL SIGTERM
ENTRYPOINT ["/copse"]
