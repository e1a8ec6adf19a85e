"""From one fleet policy to an ordinary policy for each workload that it watches."""
