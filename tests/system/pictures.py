"""Pictures of a screen: (width, height, bytes of RGB), and when one is worth
looking at."""
import re
import time


def read_ppm(path):
    """A whole picture, or None: it is not all there yet."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return None
    found = re.match(rb"P6\n(\d+) (\d+)\n255\n", data)
    if not found:
        return None
    width, height = int(found.group(1)), int(found.group(2))
    pixels = data[found.end():]
    return (width, height, pixels) if len(pixels) == width * height * 3 \
        else None


def pixel(picture, x, y):
    at = (y * picture[0] + x) * 3
    return picture[2][at:at + 3]


def above_task_bar(picture):
    width, height, pixels = picture
    return width, height, pixels[:width * (height - 40) * 3]


def unlike(one, two):
    """More than a fifth of them is different, to judge by some bytes."""
    some = [a != b for a, b in zip(one[2][::97], two[2][::97])]
    return one[:2] != two[:2] or sum(some) > len(some) // 5


def at_rest(take):
    """What `take` answers, once two in a row are alike above the task bar."""
    last = take()
    for _ in range(50):
        time.sleep(0.25)
        picture = take()
        if above_task_bar(picture) == above_task_bar(last):
            break
        last = picture
    return last


def until(condition, what, timeout=60):
    deadline = time.time() + timeout
    while not condition():
        assert time.time() < deadline, what
        time.sleep(0.1)
