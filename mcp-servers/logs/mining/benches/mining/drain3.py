"""Mines the lines on stdin (hexadecimal) with Drain3: first line of the answer is lines per second,
then a cluster and a template for each line."""
import re
import sys
import time

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

config = TemplateMinerConfig()
config.profiling_enabled = False
if sys.argv[1] == "masks":
    edge, end = r"((?<=[^A-Za-z0-9])|^)", r"((?=[^A-Za-z0-9])|$)"
    for pattern in (
        r"([0-9a-fA-F]{2}:){5,}[0-9a-fA-F]{2}",
        r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(:\d+)?",
        r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}",
        r"0x[a-fA-F0-9]+",
        r"[0-9a-fA-F]{16,}",
        r"(/[\w.$-]+){2,}/?",
        r"[-+]?\d+",
    ):
        config.masking_instructions.append(MaskingInstruction(edge + pattern + end, "*"))
miner = TemplateMiner(config=config)
lines = [bytes.fromhex(line.strip()).decode() for line in sys.stdin]
begun = time.process_time()
ids = [miner.add_log_message(line)["cluster_id"] for line in lines]
print(len(lines) / (time.process_time() - begun))
templates = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
for id in ids:
    print(f"{id}\t{re.sub(r'<[^<>]*>', '<*>', templates[id])}".replace("\n", " "))
