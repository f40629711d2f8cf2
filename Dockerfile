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
# Fills the compile cache with every module that serving needs: the root file system is read-only later. As the user that
# serves, as Node.js keeps a cache for each user id; one made by root would not be found, and could not be made anew.
RUN ["node", "src/main.ts", "serve", "--help"]
EXPOSE 10250 8080
ENTRYPOINT ["node", "src/main.ts"]
