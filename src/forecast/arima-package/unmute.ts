// SPDX-License-Identifier: Apache-2.0
import { spoken } from './mute.ts';

console.log = spoken;
