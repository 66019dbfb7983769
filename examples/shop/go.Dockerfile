# docker build -f go.Dockerfile --build-arg SERVICE=gateway -t shop-gateway .
FROM golang:1.26 AS build
ARG SERVICE
WORKDIR /source
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /service "./$SERVICE"

# A shell and wget of 2 MB, for the health check.
FROM busybox:stable
COPY --from=build /service /service
USER 65534:65534
EXPOSE 8000
ENTRYPOINT ["/service"]
