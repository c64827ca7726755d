# A relay by default; any other verb by naming it: docker run shoal status
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends clang cmake g++ libclang-dev make pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p shoal-node && strip target/release/shoal

FROM debian:bookworm-slim
RUN useradd --system --home-dir /var/lib/shoal --create-home --shell /usr/sbin/nologin shoal
COPY --from=build /src/target/release/shoal /usr/local/bin/shoal
COPY --chmod=755 dist/entrypoint /usr/local/bin/shoal-entrypoint
USER shoal
ENV SHOAL_DATA_DIR=/var/lib/shoal/node SHOAL_NETWORK=testnet
VOLUME /var/lib/shoal
EXPOSE 7462/tcp 7462/udp
ENTRYPOINT ["shoal-entrypoint"]
CMD ["run", "--role", "relay"]
