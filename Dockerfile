# syntax=docker/dockerfile:1
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY bin bin
COPY src src
# Fills the compile cache with every module, as the root file system is read-only later: a start then takes half the
# time, and 20 MiB less, as no TypeScript has to be stripped.
RUN node -e "for (const file of fs.globSync('src/**/*.ts', { exclude: ['src/main.ts', 'src/testing/**', '**/*.test.ts'] })) import('./' + file)" \
  && node src/main.ts version
USER 65532:65532
ENTRYPOINT ["node", "src/main.ts"]
