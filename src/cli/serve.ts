// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { errorMessage } from '../base/errors.ts';
import { parseConfig, serveFlagsHelp } from '../config.ts';
import type { Config } from '../config.ts';
import { createLogger } from '../observability/logger.ts';
import { parsePrometheusSettings, plainServer } from '../sources/metrics/prometheus-settings.ts';
import type { PrometheusSettings } from '../sources/metrics/prometheus-settings.ts';
import { wire } from '../wire.ts';
import { readVersion } from './version.ts';

/** What `headstart serve --help` says. */
export const serveHelp = `Usage: headstart serve [flags]

Runs in a cluster until SIGTERM. A flag wins over its environment variable.

${serveFlagsHelp()}

Exit codes: 0 ended by SIGTERM or SIGINT; 1 a role failed; 2 a wrong argument.
`;

/**
 * `headstart serve`: runs the roles of this process until a signal ends it.
 * @returns the exit code: 0 after a signal, 1 when a role failed, 2 for wrong arguments
 */
export async function runServe(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(serveHelp);
    return 0;
  }
  const config = parseConfig(argv, env, hostname());
  if ('errors' in config) {
    for (const error of config.errors) process.stderr.write(`headstart serve: ${error}\n`);
    return 2;
  }
  const prometheus = await readSettings(config);
  if (typeof prometheus === 'string') {
    process.stderr.write(`headstart serve: ${prometheus}\n`);
    return 2;
  }
  const logger = createLogger(config.logLevel);
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stopping.abort(new Error(`received ${signal}`)));
  }
  try {
    const process_ = await wire({ config, prometheus, logger, version: await readVersion() });
    await process_.run(stopping.signal);
    logger.info('stopped');
    return 0;
  } catch (error) {
    logger.error({ err: error }, 'a role failed');
    return 1;
  }
}

/** The servers of the flag, and over them those of the file; a message when the file cannot be used. */
async function readSettings(config: Config): Promise<PrometheusSettings | string> {
  const { prometheusServers, prometheusConfigFile: file } = config;
  const plain = [...prometheusServers].map(([name, url]) => [name, plainServer(url)] as const);
  if (file === undefined) return { servers: new Map(plain), allowedUrls: [] };
  try {
    const { servers, allowedUrls } = parsePrometheusSettings(await readFile(file, 'utf8'), file);
    return { servers: new Map([...plain, ...servers]), allowedUrls };
  } catch (error) {
    return errorMessage(error);
  }
}
