from cairn.datasets.problems import Problems


def test_notes_count_each_text_and_keep_its_first_example() -> None:
    problems = Problems()
    problems.note("limbs that cannot be used are ignored", "[0, 9] of category 1")
    problems.note("limbs that cannot be used are ignored", "[3, 7] of category 1")
    problems.note("missing sizes are read from the images", "image 4")
    problems.note("the split test is skipped")
    assert problems.notes == (
        "limbs that cannot be used are ignored: 2, the first is [0, 9] of category 1",
        "missing sizes are read from the images: image 4",
        "the split test is skipped",
    )
    assert problems.skipped == []
