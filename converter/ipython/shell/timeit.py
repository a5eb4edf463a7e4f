class _metaml_timeit:
    def __init__(self, statement, number=0, repeat=7):
        import statistics, timeit
        timer = timeit.Timer(statement, globals=globals())
        self.loops, self.repeat = number or timer.autorange()[0], repeat
        self.all_runs = timer.repeat(repeat, self.loops)
        self.timings = [seconds / self.loops for seconds in self.all_runs]
        self.best, self.worst = min(self.timings), max(self.timings)
        self.average, self.stdev = statistics.fmean(self.timings), statistics.pstdev(self.timings)

    def __repr__(self):
        return f"<TimeitResult : {self.average:.3g} s ± {self.stdev:.3g} s per loop (mean ± std. dev. of {self.repeat} runs, {self.loops:,} loops each)>"
