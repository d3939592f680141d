using System.Diagnostics;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime.Tests;

/// <summary>
/// Host threads that update and delete against a thread that does what a running program does: lookups through the
/// program's functions, reads and writes through the pointers it gets. What must hold is checked all the time; the first
/// violation ends it. The unit test runs it for a moment, the long form is
/// <c>dotnet run -c Release --project tests/UringBpf.Fuzz -- maps --seconds 30</c>.
/// </summary>
public sealed unsafe class MapStress
{
    private const int Keys = 256, Permanent = 7;

    private readonly int _seed;
    private readonly TimeSpan _duration;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private volatile string? _failure;
    private long _operations;
    private ulong _seen;

    private MapStress(int seed, TimeSpan duration)
    {
        _seed = seed;
        _duration = duration;
    }

    /// <summary>A key's value: two words that belong together and to the key.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Pair(ulong Key, ulong Check);

    /// <summary>A value with a spin lock: the words are equal whenever the lock is free.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Locked(long number)
    {
        public int Lock;
        public int Unused;
        public long First = number, Second = number, Third = number;
    }

    /// <summary>Runs with four host threads and one program thread; returns operations done.</summary>
    /// <exception cref="InvalidOperationException">Something was torn, lost or foreign; the message says what and repeats the seed.</exception>
    public static long Run(int seed, TimeSpan duration)
    {
        var stress = new MapStress(seed, duration);
        stress.Run();
        return stress._operations;
    }

    private void Run()
    {
        using var set = MapSet.Create(
        [
            Spec("hash", MapType.Hash, 8, 16, Keys),
            Spec("lru", MapType.LruHash, 8, 16, Keys / 4),
            Spec("bytes", MapType.Hash, 24, 16, Keys),
            Spec("locked_hash", MapType.Hash, 8, sizeof(Locked), Keys) with { SpinLockOffset = 0 },
            Spec("locked_array", MapType.Array, 4, sizeof(Locked), 4) with { SpinLockOffset = 0 },
            Spec("counters", MapType.Array, 4, 8, 4),
            Spec("routes", MapType.LpmTrie, 8, 8, Keys) with { Flags = MapFlags.NoPreallocation },
        ]);
        new BpfHashMap<ulong, ulong>(set["routes"]).Update(0, 0);
        new BpfHashMap<ulong, Pair>(set["hash"]).Update(Permanent, new(Permanent, ~(ulong)Permanent));
        new BpfHashMap<ulong, Locked>(set["locked_hash"]).Update(Permanent, default);

        var threads = new List<Thread> { Start(() => Program(set)) };
        for (var i = 0; i < 4; i++)
        {
            var random = new Random(_seed + i);
            threads.Add(Start(() => Host(set, random)));
        }
        threads.ForEach(thread => thread.Join());
        GC.KeepAlive(_seen);
        if (_failure == null && Counters(set) != Interlocked.Read(ref _counted)) _failure = "an atomic addition was lost";
        if (_failure != null) throw new InvalidOperationException($"{_failure} (seed {_seed})");
    }

    private long _counted;

    private static long Counters(MapSet set) => new BpfArrayMap<long>(set["counters"]).Sum();

    private static MapSpec Spec(string name, MapType type, int key, int value, int entries) =>
        new() { Name = name, Type = type, KeySize = key, ValueSize = value, MaxEntries = entries };

    private Thread Start(Action body)
    {
        var thread = new Thread(() =>
        {
            try
            {
                while (_failure == null && _clock.Elapsed < _duration) body();
            }
            catch (Exception e)
            {
                _failure = e.ToString();
            }
        });
        thread.Start();
        return thread;
    }

    private void Check(bool holds, string what)
    {
        if (!holds) _failure ??= what;
    }

    // What a hook does in one run.
    private void Program(MapSet set)
    {
        var state = ExecutionSlot.Current;
        state->Reset(0);
        var hash = (ulong)set["hash"].Header;
        var bytes = stackalloc byte[24];
        new Span<byte>(bytes, 24).Clear();
        for (ulong key = 0; key < Keys; key++)
        {
            var value = (Pair*)HashOps.Lookup8(hash, (ulong)&key);
            // The pointer stays readable, whatever key the element holds by now.
            if (value != null) _seen = value->Key ^ value->Check;
            Check(value != null || key != Permanent, "a key that is always there was not found while it was updated");
            *(ulong*)bytes = key;
            _ = HashOps.Lookup((ulong)set["bytes"].Header, (ulong)bytes);
            value = (Pair*)HashOps.LruLookup8((ulong)set["lru"].Header, (ulong)&key);
            if (value == null)
            {
                Pair added = new(key, ~key);
                Check(HashOps.Update8((ulong)set["lru"].Header, (ulong)&key, (ulong)&added, 0) == 0, "an LRU update failed");
            }

            var route = 32UL | key << 32;
            Check(MapOps.Lookup((ulong)set["routes"].Header, (ulong)&route, state) != 0, "the default route was not found");

            Increment((Locked*)HashOps.Lookup8((ulong)set["locked_hash"].Header, (ulong)&key));
            var index = (uint)key & 3;
            Increment((Locked*)ArrayOps.Lookup((ulong)set["locked_array"].Header, (ulong)&index));
            Interlocked.Increment(ref *(long*)ArrayOps.Lookup((ulong)set["counters"].Header, (ulong)&index));
            Interlocked.Increment(ref _counted);
        }
        state->Leave();
        Interlocked.Add(ref _operations, 8 * Keys);
    }

    private void Increment(Locked* value)
    {
        if (value == null) return;
        SystemFunctions.SpinLock((ulong)&value->Lock);
        Check(value->First == value->Second && value->Second == value->Third, "a value was torn under its spin lock");
        value->First++;
        value->Second++;
        value->Third++;
        SystemFunctions.SpinUnlock((ulong)&value->Lock);
    }

    private void Host(MapSet set, Random random)
    {
        var hash = new BpfHashMap<ulong, Pair>(set["hash"]);
        var lru = new BpfHashMap<ulong, Pair>(set["lru"]);
        var bytes = new BpfHashMap<(ulong, ulong, ulong), Pair>(set["bytes"]);
        var lockedHash = new BpfHashMap<ulong, Locked>(set["locked_hash"]);
        var lockedArray = new BpfArrayMap<Locked>(set["locked_array"]);
        var routes = new BpfHashMap<ulong, ulong>(set["routes"]);
        for (var i = 0; i < 1000; i++)
        {
            var key = (ulong)random.Next(Keys);
            Pair value = new(key, ~key);
            switch (random.Next(14))
            {
                case 0 or 1:
                    Check(hash.Update(key, value) == 0, "a hash with room for every key was full");
                    break;
                case 2:
                    if (key != Permanent) hash.Remove(key);
                    break;
                case 3:
                    if (hash.TryGetValue(key, out var read)) Check(read == value, $"hash: key {key} had the value of {read.Key}");
                    break;
                case 4:
                    if (bytes.TryGetValue((key, key, key), out var wide)) Check(wide == value, $"24-byte keys: {key} had the value of {wide.Key}");
                    break;
                case 5:
                    bytes.Update((key, key, key), value);
                    break;
                case 6:
                    if (bytes.Remove((key, key, key), out var removed)) Check(removed == value, $"24-byte keys: {key} was removed with the value of {removed.Key}");
                    break;
                case 7:
                    Check(lru.Update(key, value) == 0, "an LRU update failed");
                    if (lru.TryGetValue(key, out var used)) Check(used == value, $"LRU: key {key} had the value of {used.Key}");
                    break;
                case 8:
                    lockedHash.Update(key, new Locked(i), MapUpdateFlags.Lock);
                    break;
                case 9:
                    if (lockedHash.TryGetValue(key, out var locked, MapUpdateFlags.Lock))
                        Check(locked.First == locked.Second && locked.Second == locked.Third, "locked hash: a value came out torn");
                    break;
                case 10:
                    var at = (int)(key & 3);
                    lockedArray.Update(at, new Locked(i), MapUpdateFlags.Lock);
                    lockedArray.TryGetValue(at, out var element, MapUpdateFlags.Lock);
                    Check(element.First == element.Second && element.Second == element.Third, "locked array: a value came out torn");
                    break;
                case 11:
                    if (key != Permanent) lockedHash.Remove(key);
                    break;
                case 12:
                    // prefixlen in the low word, then data; the value repeats the key.
                    var route = (uint)random.Next(1, 33) | key << 32;
                    if (random.Next(3) == 0) routes.Remove(route);
                    else Check(routes.Update(route, route) is 0 or Enospc, "a route was refused");
                    break;
                default:
                    var asked = 32UL | key << 32;
                    Check(routes.TryGetValue(asked, out var found), "the default route was not found");
                    Check(Covers(found, asked), $"route {found:x} does not cover {asked:x}");
                    break;
            }
        }
        if (random.Next(20) == 0)
        {
            foreach (var (key, value) in hash) Check(value == new Pair(key, ~key), $"enumeration: key {key} had the value of {value.Key}");
            Check(lru.Count <= Keys / 4, "the LRU map grew");
        }
        Interlocked.Add(ref _operations, 1000);
    }

    private const int Enospc = -28;

    private static bool Covers(ulong route, ulong address)
    {
        var length = (int)(uint)route;
        uint a = BitConverter.ToUInt32([(byte)(route >> 56), (byte)(route >> 48), (byte)(route >> 40), (byte)(route >> 32)]);
        uint b = BitConverter.ToUInt32([(byte)(address >> 56), (byte)(address >> 48), (byte)(address >> 40), (byte)(address >> 32)]);
        return length == 0 || (a ^ b) >> (32 - length) == 0;
    }
}
