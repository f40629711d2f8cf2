// SPDX-License-Identifier: Apache-2.0
import { parse } from 'yaml';
import { parseDurationSeconds } from '../../base/duration.ts';
import { errorMessage, HeadstartError, invalidInput } from '../../base/errors.ts';
import { parseServerUrl } from './server-url.ts';

/** Files that hold what proves who Headstart is, and whom it trusts; they are read anew when they are needed. */
export interface CredentialFiles {
  readonly tokenFile?: string;
  readonly usernameFile?: string;
  readonly passwordFile?: string;
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** A Prometheus server, or what lies below a URL, as the admin allows it. */
export interface ServerSettings {
  readonly url: string;
  readonly credentials: CredentialFiles;
  /** Requests at a time. */
  readonly concurrency: number;
  /** Points of one request; longer ranges are read in pieces. */
  readonly maxPoints: number;
  /** For one answer. */
  readonly timeoutSeconds: number;
  /** The label that must be the namespace of the DemandForecast in each selector of its query. */
  readonly enforceNamespaceLabel?: string;
}

/** Where demand may be read. */
export interface PrometheusSettings {
  /** By the name that `serverRef` gives. */
  readonly servers: ReadonlyMap<string, ServerSettings>;
  /** What a `url` of a DemandForecast may name; these have no credentials of their own. */
  readonly allowedUrls: readonly ServerSettings[];
}

const limits = { concurrency: 8, maxPoints: 11_000, timeoutSeconds: 10 };
const namePattern = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** Names of servers are lower-case DNS labels. */
export function isServerName(name: string): boolean {
  return namePattern.test(name);
}

/** A server of which only the URL is known. */
export function plainServer(url: string): ServerSettings {
  return { url, credentials: {}, ...limits };
}

/**
 * Reads the file of --prometheus-config (YAML, or JSON, which is YAML); docs/reference/sources.md describes it.
 * @param where begins each message: the name of the file
 * @throws HeadstartError InvalidInput saying which field, what was given and what is allowed
 */
export function parsePrometheusSettings(text: string, where: string): PrometheusSettings {
  const root = readFields(parseYaml(text, where), where, ['servers', 'allowedUrls']);
  const named = readFields(root['servers'] ?? {}, `${where}: servers`);
  const servers = Object.entries(named).map(([name, value]) => {
    if (!isServerName(name)) throw invalidInput(`${where}: servers`, name, 'a lower-case name such as default');
    return [name, readServer(value, `${where}: servers.${name}`)] as const;
  });
  const allowed: unknown = root['allowedUrls'] ?? [];
  if (!Array.isArray(allowed)) throw invalidInput(`${where}: allowedUrls`, allowed, 'a list');
  const allowedUrls = allowed.map((value, index) => readAllowed(value, `${where}: allowedUrls[${index}]`));
  return { servers: new Map(servers), allowedUrls };
}

function parseYaml(text: string, where: string): unknown {
  try {
    // An alias may stand for a tree that is larger than any memory.
    return parse(text, { maxAliasCount: 0, logLevel: 'error' }) ?? {};
  } catch (error) {
    const [line] = errorMessage(error).split('\n');
    throw new HeadstartError('InvalidInput', `${where}: not YAML: ${line}`);
  }
}

function readServer(value: unknown, where: string): ServerSettings {
  const fields = readFields(value, where, ['url', 'tokenFile', 'basicAuth', 'tls', 'limits', 'enforceNamespaceLabel']);
  const tls = readFields(fields['tls'] ?? {}, `${where}.tls`, ['caFile', 'certFile', 'keyFile']);
  const basicAuth = readFields(fields['basicAuth'] ?? {}, `${where}.basicAuth`, ['usernameFile', 'passwordFile']);
  const credentials: CredentialFiles = {
    ...readPaths(fields, where, ['tokenFile']),
    ...readPaths(basicAuth, `${where}.basicAuth`, ['usernameFile', 'passwordFile']),
    ...readPaths(tls, `${where}.tls`, ['caFile', 'certFile', 'keyFile']),
  };
  checkPairs(credentials, where);
  return { ...readCommon(fields, where), credentials };
}

function checkPairs(files: CredentialFiles, where: string): void {
  const has = (name: keyof CredentialFiles): boolean => files[name] !== undefined;
  if (has('usernameFile') !== has('passwordFile')) {
    throw new HeadstartError('InvalidInput', `${where}.basicAuth: want both usernameFile and passwordFile`);
  }
  if (has('certFile') !== has('keyFile')) {
    throw new HeadstartError('InvalidInput', `${where}.tls: want both certFile and keyFile, or none`);
  }
  if (has('tokenFile') && has('usernameFile')) {
    throw new HeadstartError('InvalidInput', `${where}: got tokenFile and basicAuth, want one of them`);
  }
}

function readAllowed(value: unknown, where: string): ServerSettings {
  const fields = readFields(value, where, ['url', 'tls', 'limits', 'enforceNamespaceLabel']);
  const tls = readFields(fields['tls'] ?? {}, `${where}.tls`, ['caFile']);
  return { ...readCommon(fields, where), credentials: readPaths(tls, `${where}.tls`, ['caFile']) };
}

function readCommon(fields: Fields, where: string): Omit<ServerSettings, 'credentials'> {
  const { url, limits: given, enforceNamespaceLabel: label } = fields;
  if (typeof url !== 'string') throw invalidInput(`${where}.url`, url, 'an http:// or https:// URL');
  if (label !== undefined && !(typeof label === 'string' && /^[a-zA-Z_]\w*$/.test(label))) {
    throw invalidInput(`${where}.enforceNamespaceLabel`, label, 'a label such as namespace');
  }
  return {
    url: parseServerUrl(url, `${where}.url`),
    ...readLimits(given, `${where}.limits`),
    ...(typeof label === 'string' ? { enforceNamespaceLabel: label } : {}),
  };
}

function readLimits(value: unknown, where: string): typeof limits {
  const fields = readFields(value ?? {}, where, ['concurrency', 'maxPoints', 'timeout']);
  const { timeout } = fields;
  const timeoutSeconds =
    timeout === undefined ? limits.timeoutSeconds : parseDurationSeconds(asText(timeout), `${where}.timeout`);
  if (!(timeoutSeconds >= 1 && timeoutSeconds <= 30)) {
    throw invalidInput(`${where}.timeout`, timeout, 'a duration from 1s to 30s');
  }
  return {
    concurrency: readInteger(fields['concurrency'] ?? limits.concurrency, `${where}.concurrency`, [1, 256]),
    maxPoints: readInteger(fields['maxPoints'] ?? limits.maxPoints, `${where}.maxPoints`, [60, 50_000]),
    timeoutSeconds,
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function readInteger(value: unknown, where: string, [min, max]: readonly [number, number]): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidInput(where, value, `a whole number from ${min} to ${max}`);
}

function readPaths<const N extends string>(
  fields: Fields,
  where: string,
  names: readonly N[],
): Partial<Record<N, string>> {
  const paths: Partial<Record<N, string>> = {};
  for (const name of names) {
    const value = fields[name];
    if (value === undefined) continue;
    // A token in place of its file must not come into a message.
    if (typeof value !== 'string' || !value.startsWith('/')) {
      throw new HeadstartError('InvalidInput', `${where}.${name}: want the absolute path of a file`);
    }
    paths[name] = value;
  }
  return paths;
}

type Fields = Readonly<Record<string, unknown>>;

function readFields(value: unknown, where: string, allowed?: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidInput(where, value, 'a mapping');
  }
  const unknown = Object.keys(value).find((name) => allowed !== undefined && !allowed.includes(name));
  if (unknown !== undefined) throw invalidInput(where, unknown, `only ${allowed?.join(', ')}`);
  return value as Fields;
}
