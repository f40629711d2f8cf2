# syntax=docker/dockerfile:1
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-slim
LABEL org.opencontainers.image.title="headstart" org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY src src
RUN mkdir .compile-cache && chown 65532:65532 .compile-cache
USER 65532:65532
# Fills the compile cache with every module, as the root file system is read-only later: a start then takes half the
# time, and 20 MiB less, as no TypeScript has to be stripped. As the user that serves, as Node.js keeps a cache for each
# user id; and not by `serve --help`, as what only one role needs is loaded when that role starts.
RUN ["node", "-e", "for (const file of fs.globSync('src/**/*.ts', { exclude: ['src/main.ts', 'src/testing/**', '**/*.test.ts'] })) import('./' + file)"]
RUN ["node", "src/main.ts", "version"]
EXPOSE 10250 8080
ENTRYPOINT ["node", "src/main.ts"]
