"""Run by Airflow's Python: what Airflow makes of a DAG file, as JSON on the last line.

    read_dag.py FILE
"""

from __future__ import annotations

import json
import sys

from airflow.models import DagBag

if __name__ == "__main__":
    bag = DagBag(dag_folder=sys.argv[1])
    dags = {
        dag.dag_id: {
            task.task_id: {
                "after": sorted(task.upstream_task_ids),
                "retries": task.retries,
                "application": task.application,
                "operator": task.task_type,
            }
            for task in dag.tasks
        }
        for dag in bag.dags.values()
    }
    print(json.dumps({"errors": bag.import_errors, "dags": dags}))
