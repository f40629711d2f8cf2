// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { finding } from './finding.ts';
import { renderJson, renderText, summarize } from './render.ts';

const object = { kind: 'DemandForecast', namespace: 'shop', name: 'web' };
const findings = [
  finding('hpa', 'TargetTypeValue', { message: 'HPA web reads it with Value', fix: 'set AverageValue', object }),
  finding('api-service', 'Available', { message: 'it is available' }),
  finding('history', 'OutOfReach', { message: 'no \u001B[2J\nanswer', fix: 'forward it' }),
  finding('access', 'Denied', { message: 'may not: list pods' }),
];

test('for people: in the order of the checks, what to do below, nothing that steers the terminal', () => {
  expect(renderText(findings, { colour: false })).toBe(
    [
      'ok       api-service     it is available',
      'error    access          Denied',
      '         may not: list pods',
      'warning  hpa             TargetTypeValue  DemandForecast shop/web',
      '         HPA web reads it with Value',
      '         → set AverageValue',
      'skipped  history         OutOfReach',
      '         no  [2J answer',
      '         → forward it',
      '',
      '1 ok, 1 warning, 1 error, 1 skipped',
      '',
    ].join('\n'),
  );
});

test('colours where they are wanted', () => {
  expect(renderText(findings, { colour: true })).toContain('\u001B[31merror  \u001B[0m  access');
});

test('many that are well are one line, and what is not well among them stays', () => {
  const answered = finding('metric', 'Answered', { message: 'one of many', object });
  const text = renderText([answered, answered, answered, answered, finding('metric', 'Slow', { message: 'x' })], {
    colour: false,
  });
  expect(text).toContain('ok       metric          4 of 5 are well');
  expect(text).toContain('warning  metric          Slow');
  expect(text).not.toContain('one of many');
});

test('for programs: everything', () => {
  const text = renderJson({ version: '1.2.3', time: '2026-01-01T00:00:00Z' }, findings);
  expect(JSON.parse(text)).toEqual({
    version: '1.2.3',
    time: '2026-01-01T00:00:00Z',
    summary: { ok: 1, warning: 1, error: 1, skipped: 1 },
    findings,
  });
  expect(summarize([])).toEqual({ ok: 0, warning: 0, error: 0, skipped: 0 });
});
