"""import_crm_data, through Prefect; PREFECT_API_URL names a running server."""

import time

from landed import Landed

from flows.import_crm_data import import_crm_data


def run(workbook: str) -> Landed:
    state = import_crm_data(workbook, return_state=True)
    late = time.time() - state.timestamp.timestamp()
    if not state.is_completed():
        raise SystemExit(state.message)
    [report] = state.result()
    return Landed("contacts", aside=report["duplicate"] + report["rejected"], late=late)
