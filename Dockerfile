# docker build -t hearth . && docker run -p 127.0.0.1:8008:8008 -v hearth:/data hearth
FROM node:24-slim

WORKDIR /hearth
COPY package.json package-lock.json .npmrc ./
# Skip install scripts: the only one would install Node, which the image has.
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY LICENSE ./
COPY bin bin
COPY migrations migrations
COPY src src
# Fill the compile cache.
RUN node src/main.js start --help > /dev/null
RUN ln -s /hearth/bin/hearth /usr/local/bin/hearth \
 && install -d -o node -g node -m 700 /data

ENV NODE_ENV=production \
    HEARTH_DATA_DIR=/data \
    HEARTH_LISTENERS='[{"bind": "0.0.0.0", "port": 8008}]'
USER node
WORKDIR /data
VOLUME /data
EXPOSE 8008
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8008/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["hearth", "start"]
