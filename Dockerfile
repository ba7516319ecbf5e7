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
COPY scripts/bundle.js ./scripts/
# What main.js loads is in the bundle; no other module is needed, least of all the fake Nexudus: what is not there
# cannot be started in production by mistake.
RUN npm run build \
 && find dist -mindepth 1 -maxdepth 1 ! -name main.js ! -name bundle -exec rm -r {} + \
 && npm prune --omit=dev --ignore-scripts
# The packages are in the bundle, too. What stays of them is their licences, their names and versions for scanners, and
# the files of the page at /docs.
RUN find node_modules -type f ! -name package.json ! -iname '*licen[cs]e*' ! -iname 'notice*' ! -iname 'copying*' \
      ! -path 'node_modules/swagger-ui-dist/swagger-ui.css' ! -path 'node_modules/swagger-ui-dist/swagger-ui-bundle.js' \
      ! -path 'node_modules/swagger-ui-dist/favicon-32x32.png' -delete \
 && find node_modules -depth \( -type l -o -type d -empty \) -delete
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
ENTRYPOINT ["/usr/local/bin/node", "dist/main.js"]
