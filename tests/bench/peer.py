"""What another VM needs to run our image."""
import tempfile


def older(image):
    """A copy of the image whose header says 68021."""
    data = bytearray(open(image, "rb").read())
    data[0:4] = (68021).to_bytes(4, "little")
    copy = tempfile.NamedTemporaryFile(suffix=".image", delete=False)
    copy.write(data)
    copy.close()
    return copy.name
