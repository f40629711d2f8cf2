// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromOutside, fromOutsideMs } from './testing/fuzz.ts';
import { parseConfig, serveFlagsHelp } from './config.ts';

test('nothing given: the defaults, with the host name as identity', () => {
  expect(parseConfig([], {}, 'host-1')).toMatchObject({
    role: 'all',
    identity: 'host-1',
    securePort: 10_250,
    webhookPort: 9443,
    webhookServiceName: 'headstart-clones',
    clonesQps: 50,
    schedulerExtender: false,
    syncPeriodSeconds: 60,
    kubeconfig: undefined,
    prometheusServers: new Map([['default', 'http://prometheus.monitoring.svc:9090']]),
  });
});

test('a flag wins over the environment, the environment over the default', () => {
  const env = { HEADSTART_SECURE_PORT: '7000', HEADSTART_SYNC_PERIOD: '15s', POD_NAME: 'pod-1' };
  expect(parseConfig(['--secure-port=8000', '--role', 'metrics'], env, 'h')).toMatchObject({
    securePort: 8000,
    syncPeriodSeconds: 15,
    identity: 'pod-1',
    role: 'metrics',
  });
});

test.each([
  [{ KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }, 'https://10.0.0.1:443'],
  [{ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, 'https://[fd00::1]:6443'],
  [{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, undefined],
])('in a pod with %j the apiserver is %s', (env, inClusterServer) => {
  expect(parseConfig([], env, 'h')).toMatchObject({ inClusterServer });
});

test('every error is told at once, each with its place', () => {
  const result = parseConfig(
    ['--role=boss', '--sync-period=1s', '--secure-port=99999', '--clones-qps=0'],
    { HEADSTART_LOG_LEVEL: 'loud' },
    'h',
  );
  expect(result).toEqual({
    errors: [
      '--role: got "boss", want one of all, metrics, forecaster, clones',
      '--secure-port: got "99999", want a port from 0 to 65535',
      '--clones-qps: got "0", want a whole number from 1 to 1000',
      '--sync-period: got "1s", want a duration from 5s to 300s',
      'HEADSTART_LOG_LEVEL: got "loud", want one of debug, info, warn, error',
    ],
  });
});

test('what is learnt is kept where the flag says, and nowhere when it is left out', () => {
  expect(parseConfig([], {}, 'h')).toMatchObject({ stateDir: undefined });
  const env = { HEADSTART_STATE_DIR: '/var/lib/headstart' };
  expect(parseConfig([], env, 'h')).toMatchObject({ stateDir: '/var/lib/headstart' });
});

test.each([
  '/proc/x',
  '/sys',
  '//proc/x',
  '/var/../proc/self',
  '/dev/shm',
  'states',
  './x',
])('nothing is kept in %s', (folder) => {
  const message = `--state-dir: got "${folder}", want an absolute path that is not below /proc, /sys or /dev`;
  expect(parseConfig([`--state-dir=${folder}`], {}, 'h')).toEqual({ errors: [message] });
});

test.each([
  ['default', 'want NAME=URL'],
  ['Default=http://p', 'want NAME=URL'],
  ['a=ftp://p', 'want an http:// or https:// URL'],
  ['a=http://p,a=http://q', 'each name once'],
  ['a=http://user:secret@p', 'credentials do not belong in the URL of p'],
  ['http://user:secret@p', 'want NAME=URL'],
])('Prometheus servers %j are refused: %s', (servers, message) => {
  const result = parseConfig(['--prometheus-servers', servers], {}, 'h');
  expect(result).toHaveProperty('errors.0', expect.stringContaining(message));
  expect(JSON.stringify(result)).not.toContain('secret');
});

test(
  'any flags give a configuration or errors, never a throw',
  () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('--role', '--secure-port', '--', '-x', '--role=')), {
          maxLength: 6,
        }),
        (argv) => {
          expect(typeof parseConfig(argv, {}, 'h')).toBe('object');
        },
      ),
      fromOutside,
    );
  },
  fromOutsideMs,
);

test('the help names every flag with its variable', () => {
  expect(serveFlagsHelp()).toContain('--prometheus-servers');
  expect(serveFlagsHelp()).toContain('(HEADSTART_SYNC_PERIOD)');
});
