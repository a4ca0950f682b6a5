"""What a saved file can make a command print."""

import json


def test_names_cannot_draw_on_the_terminal(command, with_data, model, here):
    with_data()
    out = "a\x1b[2J\x1b]0;title\x07"
    _, printed, _ = command("train", "--epochs", 1, "--out", out)
    assert printed.endswith("Results: a\\x1b[2J\\x1b]0;title\\x07\n")
    assert (here / out / "run.json").exists()


def test_a_run_that_was_cut_off_says_so(command, with_data, model):
    with_data()
    running = {"status": "running", "process": {"pid": 1, "host": "elsewhere"}}
    (model / "run.json").write_text(json.dumps(running))
    _, _, err = command("evaluate", model, "tiny")
    assert "model: its run.json says that it is still being trained, by process 1 on elsew" in err
