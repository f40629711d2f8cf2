// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadstartError } from '../../base/errors.ts';
import { fromOutside, fromOutsideMs } from '../../testing/fuzz.ts';
import { parsePrometheusSettings } from './prometheus-settings.ts';

const read = (text: string) => parsePrometheusSettings(text, 'p.yaml');

test('a file with everything', () => {
  const { servers, allowedUrls } = read(`
servers:
  default:
    url: https://prometheus.monitoring.svc:9090/
    tokenFile: /etc/headstart/token
    tls: {caFile: /etc/headstart/ca.crt, certFile: /etc/headstart/tls.crt, keyFile: /etc/headstart/tls.key}
    limits: {concurrency: 4, maxPoints: 5000, timeout: 20s}
    enforceNamespaceLabel: namespace
  plain: {url: 'http://plain', basicAuth: {usernameFile: /u, passwordFile: /p}}
allowedUrls:
  - {url: 'https://tenants.example.org/prometheus', limits: {concurrency: 2}}
`);
  expect(servers.get('default')).toEqual({
    url: 'https://prometheus.monitoring.svc:9090',
    credentials: {
      tokenFile: '/etc/headstart/token',
      caFile: '/etc/headstart/ca.crt',
      certFile: '/etc/headstart/tls.crt',
      keyFile: '/etc/headstart/tls.key',
    },
    concurrency: 4,
    maxPoints: 5000,
    timeoutSeconds: 20,
    enforceNamespaceLabel: 'namespace',
  });
  expect(servers.get('plain')).toMatchObject({
    credentials: { usernameFile: '/u', passwordFile: '/p' },
    concurrency: 8,
    timeoutSeconds: 10,
  });
  expect(allowedUrls).toMatchObject([{ url: 'https://tenants.example.org/prometheus', concurrency: 2 }]);
});

test.each([
  ['', 'nothing'],
  ['{}', 'JSON'],
  ['servers:', 'no servers'],
])('%j gives no servers', (text) => {
  expect(read(text)).toEqual({ servers: new Map(), allowedUrls: [] });
});

test.each([
  ['servers: [', 'p.yaml: not YAML'],
  ['[]', 'want a mapping'],
  ['prometheus: {}', 'p.yaml: got "prometheus", want only servers, allowedUrls'],
  ['servers: {Default: {}}', 'servers: got "Default", want a lower-case name'],
  ['servers: {a: {}}', 'servers.a.url: got undefined'],
  ['servers: {a: {url: ftp://x}}', 'servers.a.url'],
  ['servers: {a: {url: "http://u:s3cret@x"}}', 'credentials do not belong'],
  ['servers: {a: {url: http://x, token: s3cret}}', 'got "token", want only url, tokenFile'],
  ['servers: {a: {url: http://x, tokenFile: s3cret}}', 'servers.a.tokenFile: want the absolute path of a file'],
  ['servers: {a: {url: http://x, basicAuth: {usernameFile: /u}}}', 'want both usernameFile and passwordFile'],
  ['servers: {a: {url: http://x, tokenFile: /t, basicAuth: {usernameFile: /u, passwordFile: /p}}}', 'want one of them'],
  ['servers: {a: {url: http://x, tls: {certFile: /c}}}', 'want both certFile and keyFile'],
  ['servers: {a: {url: http://x, tls: {insecureSkipVerify: true}}}', 'want only caFile, certFile, keyFile'],
  ['servers: {a: {url: http://x, limits: {concurrency: 0}}}', 'limits.concurrency: got 0, want a whole number from 1'],
  ['servers: {a: {url: http://x, limits: {maxPoints: 1.5}}}', 'limits.maxPoints: got 1.5'],
  ['servers: {a: {url: http://x, limits: {timeout: 5}}}', 'limits.timeout: got "5"'],
  ['servers: {a: {url: http://x, limits: {timeout: 2m}}}', 'a duration from 1s to 30s'],
  ['servers: {a: {url: http://x, enforceNamespaceLabel: "a-b"}}', 'a label such as namespace'],
  ['allowedUrls: {}', 'allowedUrls: got [object Object], want a list'],
  ['allowedUrls: [http://x]', 'allowedUrls[0]: got "http://x", want a mapping'],
  ['allowedUrls: [{url: http://x, tokenFile: /t}]', 'got "tokenFile", want only url, tls, limits'],
  ['a: &a [1]\nservers: *a', 'p.yaml: '],
])('%s is refused', (text, message) => {
  expect(() => read(text)).toThrow(message);
  expect(() => read(text)).not.toThrow('s3cret');
});

test(
  'any text is read or refused',
  () => {
    const word = fc.constantFrom(
      'servers:',
      'allowedUrls:',
      ' a:',
      ' url:',
      ' http://x',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '&x',
      '*x',
      '!!js',
      'null',
      'tls:',
      'limits:',
      '1',
    );
    const soup = fc.array(word, { maxLength: 14 }).map((words) => words.join(''));
    const outcome = (text: string): string => {
      try {
        read(text);
        return 'read';
      } catch (error) {
        return error instanceof HeadstartError ? 'refused' : `thrown: ${String(error)}`;
      }
    };
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 12 }), soup), (text) => {
        expect(outcome(text)).toMatch(/^(read|refused)$/);
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);
