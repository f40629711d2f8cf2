// SPDX-License-Identifier: Apache-2.0
import './mute.ts';
import ARIMA from 'arima';
import './unmute.ts';

/** The npm package `arima`, which says nothing on the standard output. */
export const Arima = ARIMA;
