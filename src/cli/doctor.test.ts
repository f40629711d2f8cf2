// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadstartError } from '../base/errors.ts';
import type { Gathered } from '../doctor/gather.ts';
import { fromOutside, fromOutsideMs } from '../testing/fuzz.ts';
import { runDoctor } from './doctor.ts';
import { doctorHelp, parseDoctorCommand } from './doctor-options.ts';
import type { DoctorCommand } from './doctor-options.ts';

const nothing: Gathered = {
  now: 1_790_000_000,
  snapshot: {
    namespace: undefined,
    headstartNamespace: 'headstart-system',
    localClock: { value: { aheadSeconds: 0, uncertaintySeconds: 0.5 } },
    apiService: { failure: { code: 'Forbidden', message: 'no' } },
    certificate: { value: undefined },
    metricsServer: { value: undefined },
    deployments: {},
    lease: { failure: { code: 'Forbidden', message: 'no' } },
    clonesLease: { failure: { code: 'Forbidden', message: 'no' } },
    webhook: { failure: { code: 'Forbidden', message: 'no' } },
    webhookCertificate: { value: undefined },
    stamped: { failure: { code: 'Forbidden', message: 'no' } },
    guard: { failure: { code: 'Forbidden', message: 'no' } },
    rights: { value: [] },
    roundTripMilliseconds: 1,
    discovery: { value: { answer: ['predicted_demand'], milliseconds: 1 } },
    forecasts: { value: [] },
    hpas: { value: [] },
    pools: { value: [] },
    metrics: new Map(),
    histories: new Map(),
  },
};
const slow = { value: { answer: ['predicted_demand'], milliseconds: 1000 } };
const broken = { failure: { code: 'Unavailable', message: 'no' } } as const;
const having = (changes: Partial<Gathered['snapshot']>): Gathered => ({
  ...nothing,
  snapshot: { ...nothing.snapshot, ...changes },
});

async function doctor(
  argv: readonly string[],
  found: Gathered | Error = nothing,
  terminal: { env?: Record<string, string> } | 'none' = 'none',
) {
  let [stdout, stderr] = ['', ''];
  const isTTY = terminal !== 'none';
  const io = {
    stdout: { write: (text: string) => (stdout += text), isTTY },
    stderr: { write: (text: string) => (stderr += text), isTTY },
    env: isTTY ? (terminal.env ?? {}) : {},
  };
  const code = await runDoctor(argv, io, async (_command, onProgress) => {
    onProgress('reading histories', 3, 12);
    if (found instanceof Error) throw found;
    return found;
  });
  return { code, stdout, stderr };
}

test.each([
  { name: 'nothing wrong', argv: [], found: nothing, code: 0 },
  { name: 'a warning', argv: [], found: having({ discovery: slow }), code: 0 },
  { name: 'a warning that counts', argv: ['--strict'], found: having({ discovery: slow }), code: 1 },
  { name: 'an error', argv: [], found: having({ discovery: broken }), code: 1 },
  { name: 'a wrong kubeconfig', argv: [], found: new HeadstartError('InvalidInput', 'kubeconfig: got x'), code: 2 },
  { name: 'no answer', argv: [], found: new HeadstartError('Unavailable', 'ECONNREFUSED'), code: 3 },
  { name: 'wrong credentials', argv: [], found: new HeadstartError('Unauthorized', 'HTTP 401'), code: 3 },
  { name: 'a bug', argv: [], found: new TypeError('oops'), code: 1 },
])('exit code $code: $name', async ({ argv, found, code }) => {
  const result = await doctor(argv, found);
  expect(result.code).toBe(code);
  expect(result.stderr === '').toBe(!(found instanceof Error));
});

test('JSON is the whole of standard output', async () => {
  const { stdout } = await doctor(['--output', 'json']);
  expect(JSON.parse(stdout)).toMatchObject({ time: '2026-09-21T14:13:20Z', summary: { error: 0 } });
});

test('colours and progress on a terminal only, and colours not with NO_COLOR', async () => {
  const plain = await doctor([]);
  expect(plain.stderr).toBe('');
  expect(plain.stdout).not.toContain('\u001B');
  const terminal = await doctor([], nothing, {});
  expect(terminal.stderr).toBe('\r\u001B[Kreading histories 3 of 12 …\r\u001B[K');
  expect(terminal.stdout).toContain('\u001B[32mok');
  expect((await doctor([], nothing, { env: { NO_COLOR: '1' } })).stdout).not.toContain('\u001B');
  expect((await doctor([], nothing, { env: { NO_COLOR: '' } })).stdout).toContain('\u001B');
});

test('the line of progress is gone before an error is told', async () => {
  const { stderr } = await doctor([], new HeadstartError('Unavailable', 'gone'), {});
  expect(stderr.endsWith('\r\u001B[Kheadstart doctor: gone\n')).toBe(true);
});

test.each([
  { argv: [], env: {}, kubeconfig: undefined },
  { argv: [], env: { KUBECONFIG: '' }, kubeconfig: undefined },
  { argv: [], env: { KUBECONFIG: 'a:b' }, kubeconfig: 'a:b' },
  { argv: ['--kubeconfig', 'c'], env: { KUBECONFIG: 'a:b' }, kubeconfig: 'c' },
])('the kubeconfig with $argv and $env is $kubeconfig', async ({ argv, env, kubeconfig }) => {
  const silent = { write: () => true };
  const asked: DoctorCommand[] = [];
  await runDoctor(argv, { stdout: silent, stderr: silent, env }, async (command) => {
    asked.push(command);
    return nothing;
  });
  expect(asked.map((command) => command.kubeconfig)).toEqual([kubeconfig]);
});

test('--help', async () => {
  expect(await doctor(['-h'])).toEqual({ code: 0, stdout: doctorHelp, stderr: '' });
});

test('all flags', () => {
  const argv = '-n shop --headstart-namespace hs --kubeconfig k --context c --timeout 2m --output json --strict';
  expect(parseDoctorCommand([...argv.split(' '), '--prometheus-servers', 'default=http://p,two=https://q/x'])).toEqual({
    namespace: 'shop',
    headstartNamespace: 'hs',
    kubeconfig: 'k',
    context: 'c',
    servers: new Map([
      ['default', 'http://p'],
      ['two', 'https://q/x'],
    ]),
    timeoutMs: 120_000,
    output: 'json',
    isStrict: true,
  } satisfies DoctorCommand);
  expect(parseDoctorCommand(['-A'])).toMatchObject({ namespace: undefined, servers: undefined, timeoutMs: 10_000 });
});

test.each([
  [['-n', 'a', '-A'], '--namespace, --all-namespaces: got "both", want one of them'],
  [['-n', 'A_b'], '--namespace: got "A_b", want the name of a namespace'],
  [['--headstart-namespace', ''], '--headstart-namespace: got "", want the name of a namespace'],
  [['--timeout', '0s'], '--timeout: got "0s", want a duration from 1s to 5m'],
  [['--timeout', '1'], '--timeout: got "1", want a duration such as'],
  [['--output', 'yaml'], '--output: got "yaml", want human or json'],
  [['--prometheus-servers', 'http://p'], '--prometheus-servers: got "an entry without a name", want NAME=URL'],
  [['--prometheus-servers', 'a=http://u:p@h'], '--prometheus-servers: a: credentials do not belong in the URL of h'],
  [['web'], "Unexpected argument 'web'"],
  [['--colour'], "Unknown option '--colour'"],
])('%j is refused', async (argv, message) => {
  const { code, stderr } = await doctor(argv);
  expect(code).toBe(2);
  expect(stderr).toContain(`headstart doctor: ${message}`);
});

test(
  'whatever is given, it is a command or a refusal',
  () => {
    const names = [
      '-n',
      '-A',
      '--timeout',
      '--output',
      '--prometheus-servers',
      '--headstart-namespace',
      '--strict',
      '--',
    ];
    const argv = fc.array(fc.oneof(fc.constantFrom(...names), fc.string()), { maxLength: 6 });
    fc.assert(
      fc.property(argv, (given) => {
        expect(attempt(() => parseDoctorCommand(given))).toSatisfy(
          (result) => !(result instanceof Error) || result instanceof HeadstartError,
        );
      }),
      fromOutside,
    );
  },
  fromOutsideMs,
);

function attempt(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
