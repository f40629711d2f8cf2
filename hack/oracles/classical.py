# SPDX-License-Identifier: Apache-2.0
"""Values that the tests of ARIMA and ETS compare with, from statsforecast (a port of R's arima and forecast::ets).

Run: python -m venv venv && venv/bin/pip install statsforecast==VERSION && venv/bin/python hack/oracles/classical.py
"""
import importlib.metadata
import json
import re
from pathlib import Path

import numpy as np
from statsforecast.arima import arima, predict_arima
from statsforecast.ets import ets_f, forecast_ets

fixture = Path(__file__).parents[2] / 'src/testing/published-series.ts'
text = fixture.read_text()


def series(name):
    body = re.search(rf'export const {name}: readonly number\[\] = \[(.*?)\]', text, re.S).group(1)
    return np.array([float(value) for value in body.replace('\n', ' ').split(',') if value.strip()])


air, lh = series('airPassengers'), series('lh')
out = {'statsforecast': importlib.metadata.version('statsforecast'), 'numpy': np.__version__}


def fit(name, x, order, seasonal, method, horizon):
    model = arima(x, order=order, seasonal=seasonal, include_mean=True, method=method)
    forecast = predict_arima(model, n_ahead=horizon)[0] if method == 'ML' else None
    out[name] = {
        'coef': {key: round(float(value), 6) for key, value in model['coef'].items()},
        'sigma2': float(f"{model['sigma2']:.6g}"),
        **({} if forecast is None else {'forecast': [round(float(value), 6) for value in forecast]}),
    }


airline = {'order': (0, 1, 1), 'seasonal': {'order': (0, 1, 1), 'period': 12}}
none = {'order': (0, 0, 0), 'period': 1}
for method in ('CSS', 'ML'):
    fit(f'airline {method}', np.log(air), airline['order'], airline['seasonal'], method, 6)
    fit(f'lh AR(3) {method}', lh, (3, 0, 0), none, method, 6)
    fit(f'lh ARMA(1,1) {method}', lh, (1, 0, 1), none, method, 6)

for name, x, m, model, damped in [
    ('lh ANN', lh, 1, 'ANN', False),
    ('air AAN', air, 1, 'AAN', False),
    ('air MAM', air, 12, 'MAM', False),
    ('air MAdM', air, 12, 'MAM', True),
    ('log air AAA', np.log(air), 12, 'AAA', False),
]:
    fitted = ets_f(x, m=m, model=model, damped=damped)
    forecast = forecast_ets(fitted, h=12)['mean']
    out[name] = {
        'aicc': round(float(fitted['aicc']), 4),
        'loglik': round(float(fitted['loglik']), 4),
        'forecast': [round(float(value), 4) for value in forecast],
    }

print(json.dumps(out, indent=1))
