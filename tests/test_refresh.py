"""Refreshes beyond a change feed: other sources, full passes, retries, lost history, ways back.

Each kind of source goes through the same changes, and must end with the same tables.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from catalog_life import Images, Life, check
from pyspark.sql import SparkSession

from jeans_udf import commit, tables
from jeans_udf.errors import TableError
from jeans_udf.pipeline import Refresh
from jeans_udf.rollback import rollback
from jeans_udf.run_log import DIED
from jeans_udf.run_status import read_state
from jeans_udf.runs import Run
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.sources import open_source
from jeans_udf.table_names import Table

FIRST: Images = {
    "a": ("p1", b"2 dark"), "b": ("p1", b"1 dark"), "c": ("p2", b"broken"), "d": ("p3", b"0"),
    "e": ("p4", b"1 light"), "none": ("p5", None),
}  # fmt: skip
AFTER: Images = {
    "a": ("p1", b"1 light"), "c": ("p2", b"broken"), "d": ("p3", b"1 dark"),
    "e": ("p9", b"1 light"), "f": (None, b"1 dark"), "none": ("p5", None),
}  # fmt: skip
CHANGED = ["a", "d", "f"]


@pytest.fixture
def life(spark: SparkSession, tmp_path: Path) -> Life:
    life = Life(spark, tmp_path)
    (tmp_path / "calls").mkdir()
    return life


@pytest.fixture(scope="module")
def first_run(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """A first run over `FIRST`, as a copy that nobody touches; ``folder`` is where it ran."""
    life = Life(spark, tmp_path_factory.mktemp("first") / "life")
    (life.folder / "calls").mkdir(parents=True)
    fill(life)
    check(life.run("first"), FIRST, "m1")
    shutil.copytree(life.folder, life.folder.with_name("copy"))
    return life


@pytest.fixture
def tagged(first_run: Life) -> Life:
    """A life after its first run. At the same place each time: checkpoints know their source's."""
    folder = first_run.folder
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("copy"), folder)
    # Delta keeps what it read of a table's log, and would find another log in its place.
    first_run.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    return Life(first_run.spark, folder, dict(first_run.steps))


def fill(life: Life, images: Images = FIRST) -> None:
    """A Delta source with its change feed on."""
    tables.ensure_table(life.spark, life.source, PRODUCT_IMAGES, "images", hint="")
    life.put(images)


def test_a_folder_of_parquet_is_compared(life: Life) -> None:
    def write(images: Images) -> None:
        rows = [(key, *image) for key, image in images.items()]
        frame = life.spark.createDataFrame(rows, "image_id string, product_id string, image binary")
        frame.repartition(2).write.mode("overwrite").parquet(life.source.text)

    write(FIRST)
    # What has no bytes counts for 200 kB: two batches.
    first = life.run("first", batch={"max_bytes": "100k"})
    check(first, FIRST, "m1")
    assert first.versions[0] > 1, "several batches"
    assert life.run("nothing new").looked_at == []
    assert life.steps["nothing new"].versions == first.versions
    write(AFTER)
    step = life.run("changes")
    check(step, AFTER, "m1")
    assert (step.looked_at, step.run.deleted) == (CHANGED, 1)


def test_a_delta_table_without_a_feed_is_compared(life: Life) -> None:
    life.sql("CREATE TABLE {} (image_id string, product_id string, image binary) USING delta")
    rows = [(key, *image) for key, image in FIRST.items()]
    frame = life.spark.createDataFrame(rows, "image_id string, product_id string, image binary")
    tables.append(frame, life.source)
    check(life.run("first"), FIRST, "m1")
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id = 'a'")
    life.sql("DELETE FROM {} WHERE image_id = 'b'")
    for at in ("commit_garments", "commit_status"):
        life.crash(at)
    step = life.run("changes")
    wanted = {**FIRST, "a": AFTER["a"]}
    del wanted["b"]
    check(step, wanted, "m1")
    # Twice by the runs that crashed: without a checkpoint, a crash costs its batch again.
    assert (step.looked_at, step.run.deleted) == (["a"] * 3, 1)


def test_a_jdbc_table_is_compared(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"jdbc:derby:{life.folder}/shop;create=true"
    conf = life.spark.conf
    name = "spark.sql.catalog.derby"
    conf.set(name, "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog")
    conf.set(f"{name}.url", url)
    conf.set(f"{name}.driver", "org.apache.derby.iapi.jdbc.AutoloadedDriver")
    jdbc = life.spark._jvm.java.sql.DriverManager.getConnection(url)
    jdbc.createStatement().execute('CREATE SCHEMA "shop"')
    # Its columns are in capitals, as databases like them.
    jdbc.createStatement().execute(
        'CREATE TABLE "shop"."product_images" (image_id VARCHAR(99) PRIMARY KEY, '
        "product_id VARCHAR(99), image BLOB, title VARCHAR(99))"
    )
    put = jdbc.prepareStatement('INSERT INTO "shop"."product_images" VALUES (?, ?, ?, NULL)')

    def insert(key: str, product: str | None, data: bytes | None) -> None:
        put.setString(1, key)
        put.setString(2, product)
        put.setBytes(3, None if data is None else bytearray(data))
        put.executeUpdate()

    for key, image in FIRST.items():
        insert(key, *image)
    monkeypatch.setattr(Life, "source", Table("derby.shop.product_images", False))
    check(life.run("first"), FIRST, "m1")
    sql = jdbc.createStatement()
    table = '"shop"."product_images"'
    sql.execute(f"DELETE FROM {table} WHERE image_id IN ('a', 'b', 'd')")
    sql.execute(f"UPDATE {table} SET product_id = 'p9', title = 'E' WHERE image_id = 'e'")
    for key in CHANGED:
        insert(key, *AFTER[key])
    step = life.run("changes")
    check(step, AFTER, "m1")
    assert (step.looked_at, step.run.deleted) == (CHANGED, 1)


def test_files_behind_paths_are_hashed_where_nothing_tells_what_changed(life: Life) -> None:
    photos = life.folder / "photos"
    photos.mkdir()
    for key in ("a", "b"):
        (photos / key).write_bytes(b"1 dark")
    rows = [(key, "p", str(photos / key)) for key in ("a", "b", "gone")]
    frame = life.spark.createDataFrame(rows, "image_id string, product_id string, path string")
    frame.write.parquet(life.source.text)
    settings = {"images": {"roots": [str(photos)]}}
    assert life.run("first", **settings).looked_at == ["a", "b", "gone"]
    (photos / "a").write_bytes(b"2 dark")
    # The table is as it was; that its files are compared takes a table that is not.
    next(Path(life.source.text).glob("*.parquet")).touch()
    assert life.run("changes", **settings).looked_at == ["a"]


def test_history_that_was_vacuumed_away_is_made_up_for(
    tagged: Life, capsys: pytest.CaptureFixture[str]
) -> None:
    life = tagged
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id = 'a'")
    life.sql("UPDATE {} SET product_id = 'p9' WHERE image_id = 'e'")
    life.sql("DELETE FROM {} WHERE image_id IN ('b', 'd')")
    life.put({key: AFTER[key] for key in ("d", "f")})
    with tables.settings(
        life.spark, {"spark.databricks.delta.retentionDurationCheck.enabled": "false"}
    ):
        life.sql("VACUUM {} RETAIN 0 HOURS")
    step = life.run("changes")
    check(step, AFTER, "m1")
    assert (step.looked_at, step.run.deleted) == (CHANGED, 1)
    assert "comparing every row" in capsys.readouterr().err
    assert life.run("nothing new").looked_at == []


def test_a_full_pass_goes_on_after_a_crash(life: Life) -> None:
    for part in (["a", "b"], ["c", "d"], ["e", "none"]):
        fill(life, {key: FIRST[key] for key in part})
    life.run("first")
    full = Refresh(full=True)
    one = {"batch": {"max_files": 1}}
    life.run("first full", refresh=full)
    assert life.steps["first full"].looked_at == sorted(FIRST)
    assert life.steps["first full"].run.kind == "full"
    life.crash_after_batches(1, refresh=full, **one)
    # Without being asked for again: what was begun is finished.
    step = life.run("goes on", **one)
    check(step, FIRST, "m1")
    assert step.looked_at == sorted(FIRST), "the crashed run's two, and the other four"
    assert step.run.images == 4
    assert life.run("nothing new").looked_at == []


def test_rejected_images_are_tried_again_when_asked(life: Life) -> None:
    photo = life.folder / "late.jpg"
    fill(life)
    life.sql(f"INSERT INTO {{}} (image_id, product_id, path) VALUES ('late', 'p', '{photo}')")
    assert life.run("first").rows["late"][1] == "rejected"
    photo.write_bytes(b"1 dark")
    assert life.run("nothing new").looked_at == []
    step = life.run("again", refresh=Refresh(retry_rejected=True))
    assert step.looked_at == ["c", "late", "none"]
    assert step.rows["late"][1] == "tagged"
    assert len(step.garments) == len(life.steps["first"].garments) + 1
    assert step.run.kind == "retry_rejected"


def test_a_crash_whose_checkpoint_is_lost_leaves_no_torn_image(tagged: Life) -> None:
    life = tagged
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id = 'a'")
    life.crash("commit_status")
    # The new garments are there, the old status still stands, and the picture is the old one again.
    life.sql("UPDATE {} SET image = CAST('2 dark' AS binary) WHERE image_id = 'a'")
    shutil.rmtree(life.folder / "out" / "_checkpoints")
    shutil.rmtree(life.folder / "out" / "_staging")
    check(life.run("after"), FIRST, "m1")


def test_a_run_can_be_taken_back(tagged: Life) -> None:
    life, first = tagged, tagged.steps["first"]
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id = 'a'")
    life.sql("DELETE FROM {} WHERE image_id = 'b'")
    life.run("wrong")
    back = Run("source", "m1", "sha", life.steps["wrong"].run.config, "back")
    rollback(life.spark, life.output, "wrong", back)
    life.note("rolled back", back)
    check(life.steps["rolled back"], FIRST, "m1")
    log = tables.read_table(life.spark, commit.catalog_of(life.output).tagging_runs)
    runs = {row.run_id: row for row in log.collect()}
    assert [runs[name].run_no for name in ("first", "wrong", "back")] == [1, 2, 3]
    assert (runs["back"].kind, runs["back"].restored_run) == ("rollback", "wrong")
    step = life.run("again")
    assert (step.looked_at, step.run.deleted) == (["a"], 1)
    with pytest.raises(TableError, match="no such run; the latest: again"):
        rollback(life.spark, life.output, "nonsense", back)
    assert first.rows["b"][1] == "tagged"


def test_labels_that_drift_are_3_and_the_budget_has_its_say(life: Life) -> None:
    drift = {"drift": {"min_garments": 20, "max_index": 0.25}}
    same: Images = {f"a{n}": ("p", b"1 dark" if n % 2 else b"1 light") for n in range(40)}
    fill(life, same)
    assert life.run("first", **drift).run.exit_code == 0
    life.put({f"b{n}": ("p", b"1 dark" if n % 2 else b"1 light") for n in range(40)})
    like = life.run("like it", **drift).run
    assert (like.exit_code, like.drift["wash"]) == (0, pytest.approx(0.0, abs=1e-9))
    life.put({f"c{n}": ("p", b"1 dark") for n in range(40)})
    other = life.run("all dark", **drift).run
    assert other.exit_code == 3
    assert other.drift["category"] == pytest.approx(0.0, abs=1e-9)
    assert [text.split(":")[0] for text in other.over_limits()] == ["wash drifted"]
    assert other.label_counts == {
        "category.jeans": 40, "wash.dark": 40, "details.cuffed": 40,
    }  # fmt: skip


def test_status_tells_the_last_runs_and_what_is_pending(tagged: Life) -> None:
    life = tagged
    source = open_source(life.spark, life.source)

    def pending() -> list[str]:
        return read_state(life.spark, source, life.output, "m1").pending

    assert pending() == ["nothing"]
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id IN ('a', 'b')")
    life.sql("DELETE FROM {} WHERE image_id = 'c'")
    assert pending() == ["versions 2 to 3 of the source: 1 x delete, 2 x update_postimage"]
    other = read_state(life.spark, source, life.output, "m2")
    assert other.pending == ["the whole source has to be compared with this bundle's rows"]
    assert [row.run_id for row in other.runs] == ["first"]
    assert DIED not in str(other.runs)
