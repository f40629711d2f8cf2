// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { EventToRecord } from '../kube/recorder.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createApiServiceReport } from './api-service-report.ts';
import type { ApiServiceFinding } from './api-service.ts';

const service = { namespace: 'headstart-system', name: 'headstart-metrics' };
const owned: ApiServiceFinding = { state: 'Owned', message: 'ours' };
const foreign: ApiServiceFinding = { state: 'Foreign', message: 'of keda' };
const missing: ApiServiceFinding = { state: 'Missing', message: 'none' };
const notManaged: ApiServiceFinding = { state: 'NotManaged', message: 'by cert-manager' };

function setUp() {
  const clock = createFakeClock();
  const events: EventToRecord[] = [];
  const states: string[] = [];
  const report = createApiServiceReport({
    recorder: { record: (event) => void events.push(event) },
    clock,
    service,
    onState: (state) => void states.push(state),
  });
  return { clock, events, states, report };
}

test.each([
  ['is ours from the beginning', [owned, owned], []],
  ['is another’s', [foreign, foreign], ['Warning Foreign: of keda']],
  ['is not there', [missing], ['Warning Missing: none']],
  ['has its caBundle from others', [notManaged], ['Normal NotManaged: by cert-manager']],
  [
    'changes hands and comes back',
    [owned, foreign, foreign, owned, owned],
    ['Warning Foreign: of keda', 'Normal Owned: ours'],
  ],
])('an APIService that %s', (_what, findings, told) => {
  const { events, states, report } = setUp();
  for (const finding of findings) report(finding);
  expect(events.map(({ type, reason, note }) => `${type} ${reason}: ${note}`)).toEqual(told);
  expect(states).toEqual(findings.map(({ state }) => state));
});

test('what goes on is told again every half hour, on our Service', async () => {
  const { clock, events, report } = setUp();
  for (let minute = 0; minute < 61; minute += 1) {
    report(foreign);
    await clock.advance(60_000);
  }
  expect(events).toHaveLength(3);
  expect(events[0]?.regarding).toEqual({ apiVersion: 'v1', kind: 'Service', ...service });
});
