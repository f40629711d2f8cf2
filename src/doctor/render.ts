// SPDX-License-Identifier: Apache-2.0
import { checks } from './finding.ts';
import type { CheckName, Finding, FindingObject, FindingStatus } from './finding.ts';

/** How many findings there are of each status. */
export type Summary = Readonly<Record<FindingStatus, number>>;

/** What is told besides the findings. */
export interface ReportHead {
  readonly version: string;
  /** RFC 3339, by the apiserver's clock. */
  readonly time: string;
}

const colours: Readonly<Record<FindingStatus, string>> = { ok: '32', warning: '33', error: '31', skipped: '36' };
const indent = ' '.repeat(9);
/** More of the same that is well is one line. */
const mostTold = 3;

/** The findings counted. */
export function summarize(findings: readonly Finding[]): Summary {
  const count = (status: FindingStatus): number => findings.filter((finding) => finding.status === status).length;
  return { ok: count('ok'), warning: count('warning'), error: count('error'), skipped: count('skipped') };
}

/** For programs; the schema is in docs/reference/cli.md. */
export function renderJson({ version, time }: ReportHead, findings: readonly Finding[]): string {
  return `${JSON.stringify({ version, time, summary: summarize(findings), findings }, undefined, 2)}\n`;
}

/** For people: a line for each finding, with what to do below; colours where the terminal has them. */
export function renderText(findings: readonly Finding[], { colour }: { readonly colour: boolean }): string {
  const names = Object.keys(checks) as CheckName[];
  const lines = names.flatMap((name) =>
    renderCheck(
      findings.filter(({ check }) => check === name),
      colour,
    ),
  );
  const { ok, warning, error, skipped } = summarize(findings);
  return `${lines.join('\n')}\n\n${ok} ok, ${plural(warning, 'warning')}, ${plural(error, 'error')}, ${skipped} skipped\n`;
}

function renderCheck(findings: readonly Finding[], colour: boolean): string[] {
  const well = findings.filter(({ status }) => status === 'ok');
  const bad = findings.filter(({ status }) => status !== 'ok');
  const [first] = well;
  if (first === undefined || well.length <= mostTold) return findings.flatMap((item) => renderFinding(item, colour));
  const folded = { ...first, message: `${well.length} of ${findings.length} are well (--output json names them)` };
  return [folded, ...bad].flatMap((item) => renderFinding(item, colour));
}

/** What is well takes one line; its message names what it is about. */
function renderFinding({ check, status, reason, message, fix, object }: Finding, colour: boolean): string[] {
  const word = status.padEnd(7);
  const head = `${colour ? `\u001B[${colours[status]}m${word}\u001B[0m` : word}  ${check.padEnd(14)}`;
  if (status === 'ok') return [`${head}  ${clean(message)}`];
  const about = object === undefined ? '' : `  ${formatObject(object)}`;
  const lines = [`${head}  ${reason}${clean(about)}`, `${indent}${clean(message)}`];
  return fix === undefined ? lines : [...lines, `${indent}→ ${clean(fix)}`];
}

function formatObject({ kind, namespace, name }: FindingObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

/** Names and messages come from the cluster: they must not steer the terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
