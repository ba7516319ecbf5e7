# The one base, as an exact tag; a release pins it further: --build-arg NODE_IMAGE=…@sha256:…
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
# Before the sources: this layer is rebuilt only when the dependencies change.
COPY package.json package-lock.json .npmrc ./
# No install scripts: neither tsc nor the service needs one, and each would run foreign code in the build.
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY src ./src
# The fake Nexudus is left out: what is not there cannot be started in production by mistake. So is the generator of
# openapi.json.
RUN npm run build \
 && rm -rf dist/sandbox dist/openapi \
 && npm prune --omit=dev --ignore-scripts
# By kind of file, a third of the packages: types, source maps and manuals are read by people and compilers, never by
# node. Licences stay, whatever they are called.
RUN find node_modules -type f ! -iname '*licen[cs]e*' \
      \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.md' -o -name '*.markdown' \) -delete
# All that node needs of a Linux: its shared libraries, the packages' names and versions where scanners look for them,
# how to resolve a host name, and who 1000 is. No shell, no package manager, nothing to download more with.
WORKDIR /runtime
RUN mkdir -p etc var/lib/dpkg/status.d \
 && cp --parents --dereference /etc/os-release $(ldd /usr/local/bin/node | grep -o '/[^ ]*') . \
 && for package in libc6 libgcc-s1 libstdc++6; do \
      dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package" || exit 1; \
      cp --parents --dereference "/usr/share/doc/$package/copyright" . || exit 1; \
    done \
 && echo 'hosts: files dns' > etc/nsswitch.conf \
 && printf '%s\n' root:x:0:0::/: node:x:1000:1000::/app: > etc/passwd \
 && printf '%s\n' root:x:0: node:x:1000: > etc/group

FROM scratch AS run
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
COPY --from=build /runtime /
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# package.json says "type": "module", without which Node would read dist as CommonJS.
COPY package.json openapi.json LICENSE ./
# A number, because Kubernetes' runAsNonRoot cannot judge a name.
USER 1000:1000
# 3000: the API. 9464: probes and metrics, for operators only.
EXPOSE 3000 9464
STOPSIGNAL SIGTERM
# Node is process 1 and gets SIGTERM itself.
ENTRYPOINT ["/usr/local/bin/node", "--enable-source-maps", "dist/main.js"]
