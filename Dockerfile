# The base is an exact tag; a release pins it further: --build-arg NODE_IMAGE=…@sha256:…
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
# Before the sources: this layer is rebuilt only when the dependencies change.
COPY package.json package-lock.json .npmrc ./
# No install scripts: neither tsc nor the service needs one, and each would run foreign code in the build.
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY src ./src
# The fake Nexudus is left out: what is not there cannot be started in production by mistake.
RUN npm run build \
 && rm -rf dist/sandbox \
 && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE} AS run
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nexudus-bff" \
      org.opencontainers.image.description="A backend-for-frontend for Nexudus chat messages" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
WORKDIR /app
# Owned by root, run by 1000: the process cannot change its own code.
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# package.json says "type": "module", without which Node would read dist as CommonJS.
COPY package.json LICENSE ./
# A number, because Kubernetes' runAsNonRoot cannot judge a name.
USER 1000:1000
# 3000: the API. 9464: probes and metrics, for operators only.
EXPOSE 3000 9464
STOPSIGNAL SIGTERM
# The base's entry point is a shell script; without it node is process 1 and gets SIGTERM itself.
ENTRYPOINT []
CMD ["node", "--enable-source-maps", "dist/main.js"]
